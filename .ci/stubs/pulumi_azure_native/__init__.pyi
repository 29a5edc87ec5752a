# What mypy sees of this package's root, and nothing weaker: every name below is the SDK's own. The real `__init__.py`
# names all 250 services to type checkers, and with those of AWS mypy would read 9,000 files to check 900 of ours.
# `from pulumi_azure_native import <service>` needs no line here; `pulumi_azure_native.<service>` needs one.
from pulumi_azure_native import authorization as authorization
from pulumi_azure_native import managedidentity as managedidentity
from pulumi_azure_native import resources as resources
from pulumi_azure_native import storage as storage
from pulumi_azure_native import web as web
from pulumi_azure_native.provider import Provider as Provider
