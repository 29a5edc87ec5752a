"""log_ingest's AWS side as the program itself declares it, put into running emulators by the real control plane."""

import json
from pathlib import Path
from typing import Any

from localcloud.control.kinds import Locality
from localcloud.control.plane import ControlPlane
from localcloud.engine.config import load_program
from localcloud.engine.embedded import run
from localcloud.engine.state import Record
from localcloud.supervisor.apps import Apps
from localcloud.supervisor.logbook import Logbook
from tests.components.program import TENANCY, KnownCloud
from tests.contract.previews import ROOT
from tests.integration.emulators.local import Local
from tests.integration.emulators.security.sigv4 import Keys

IDENTITY = "azure-native:managedidentity:UserAssignedIdentity"


class Deployed:
    """The bucket, queues, role and trust of the stack `local`; `keys` are a session of the worker's own."""

    def __init__(self, local: Local, home: Path) -> None:
        self.local = local
        program = load_program(ROOT, "local", {"systems": ["log_ingest"]})  # the one that AWS has a side of
        result = run(program, cloud=KnownCloud(), preview=True)
        assert result.failures == []
        wanted = [one for one in result.records if one.type.startswith("aws:") or one.type == IDENTITY]
        self.records = sorted(wanted, key=lambda one: one.order)
        apps = Apps(home / "apps", local.cloud, Logbook(home / "logs"))
        deployer = local.cloud.identity.deployer.principal_id
        locality = Locality(TENANCY, local.cloud, apps)
        self.plane = local.do(lambda: ControlPlane(home / "control.sqlite", locality, deployer_id=deployer))
        for record in self.records:
            self.local.run(self.plane.create(record.type, record.name, record.inputs, preview=False))
        self.bucket = str(self.one("s3/bucket:Bucket").inputs["bucket"])
        self.queue = str(self.one("sqs/queue:Queue", "source").inputs["name"])
        self.dead_queue = str(self.one("sqs/queue:Queue", "source-dead").inputs["name"])
        self.audience = str(self.one("OpenIdConnectProvider").inputs["clientIdLists"][0])
        self.role = str(self.one("iam/role:Role").inputs["name"])
        self.worker = local.do(self._worker)
        self.keys = self.session()

    def one(self, type_: str, name: str = "") -> Record:
        (found,) = [one for one in self.records if one.type.endswith(type_) and name in ("", one.name)]
        return found

    def session(self, lifetime_s: int = 3600) -> Keys:
        account = self.local.cloud.aws.account
        made = self.local.do(lambda: account.open_session(account.roles[self.role], "run", lifetime_s))
        return Keys(made.access_key, made.secret, made.token)

    def document(self, type_: str, key: str) -> Any:
        return json.loads(self.one(type_).inputs[key])

    def _worker(self) -> str:
        name = str(self.one(IDENTITY).inputs["resourceName"])
        (found,) = [one for one in self.local.cloud.identity.principals() if one.name == name]
        return found.principal_id
