"""Services of Pulumi's SDKs that are loaded name by name: the same names and objects, and far fewer files."""

import subprocess
import sys

import pytest

SAME = """
import importlib, sys
import components.lazy_sdk as lazy
lazy.install()
lazy.install()
service = importlib.import_module({service!r})
wanted = {{name: getattr(service, name) for name in {names!r}}}
few = [name for name in sys.modules if name.startswith(service.__name__ + ".")]
assert len(few) <= 8, few
namespace = {{}}
exec("from {service} import *", namespace)
for name, found in wanted.items():
    assert namespace[name] is found is getattr(service, name), name
many = [name for name in sys.modules if name.startswith(service.__name__ + ".")]
assert len(many) > 3 * len(few), (few, many)
assert set(wanted) <= set(dir(service))
"""
SERVICES = {
    "pulumi_azure_native.storage": ["Queue", "BlobContainer", "SkuArgs", "SkuName", "list_storage_account_keys"],
    "pulumi_azure_native.web": ["WebApp", "WebAppArgs", "SiteConfigArgs", "ManagedServiceIdentityType"],
    "pulumi_aws.s3": ["Bucket", "BucketPolicy", "get_bucket", "get_bucket_output", "BucketArgs"],
}


def _python(code: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("service", SERVICES)
def test_same_objects_from_few_files_and_everything_when_asked(service: str) -> None:
    """A name found in its own file is what the whole service holds under it; `import *` and `dir` see everything."""
    done = _python(SAME.format(service=service, names=SERVICES[service]))
    assert done.returncode == 0, done.stderr


def test_every_name_of_a_service_is_found_one_by_one() -> None:
    """Whatever the generator called its file, no name that the eager service has is missing or another object."""
    code = """
import subprocess, sys
import components.lazy_sdk as lazy
lazy.install()
import pulumi_azure_native.monitor as service
names = subprocess.run([sys.executable, "-c", "import pulumi_azure_native.monitor as m; m.ActionGroup;"
    "print(*[n for n in vars(m) if not n.startswith('_')])"], capture_output=True, text=True, check=True).stdout.split()
assert len(names) > 200
found = {name: getattr(service, name) for name in names}
dir(service)
assert all(vars(service)[name] is one for name, one in found.items())
"""
    done = _python(code)
    assert done.returncode == 0, done.stderr


def test_what_does_not_exist_is_said_as_python_says_it() -> None:
    """A name that no file holds is an AttributeError, an import of it an ImportError, naming service and name."""
    code = "import components\nfrom pulumi_azure_native.storage import Quoue"
    done = _python(code)
    assert "ImportError: cannot import name 'Quoue' from 'pulumi_azure_native.storage'" in done.stderr
    done = _python("import components\nfrom pulumi_azure_native import storage\nstorage.Quoue")
    assert "AttributeError: module 'pulumi_azure_native.storage' has no attribute 'Quoue'" in done.stderr


def test_a_service_that_is_there_already_stays_as_it_is() -> None:
    """A foreign program that imported a service before the components keeps its module and classes."""
    code = """
import pulumi_azure_native.storage as before
queue = before.Queue
import components
from pulumi_azure_native import storage
assert storage.Queue is queue
"""
    done = _python(code)
    assert done.returncode == 0, done.stderr


def test_it_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MILLRACE_WHOLE_SDK", "1")
    code = """
import sys, components
from pulumi_azure_native import storage
storage.Queue
print(len([name for name in sys.modules if ".storage." in name]))
"""
    done = _python(code)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 30
