"""A small foreign program on Pulumi itself and our plugins. Write one here when a plugin's answer is what counts."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.integration.engine.checkout import Checkout, Tiny
from tests.integration.engine.outsider import sqs

pytestmark = pytest.mark.timeout(300)
GROUP = "tiny azure-native:resources:ResourceGroup"
IDENTITY = "tiny azure-native:managedidentity:UserAssignedIdentity"
QUEUE = "tiny aws:sqs/queue:Queue"


def test_up_is_quiet_the_second_time_and_keeps_secrets(checkout: Checkout) -> None:
    tiny = Tiny(checkout, "quiet")
    first = tiny.steps()
    assert {step["op"] for step in first.values()} == {"create"}
    tiny.up()
    assert tiny.steps() == {}
    said = tiny.up("--expect-no-changes")
    assert "9 unchanged" in said, said
    outputs = tiny.outputs()
    assert outputs["mark"] == "TINY-QUIET"
    assert len(outputs["principal"]) == 36
    kept = Path(checkout.environment["PULUMI_HOME"]).parent  # state, history, backups and Pulumi's own logs
    written = [file for file in kept.rglob("*") if file.is_file()]
    assert written
    assert not [file for file in written if b"a-key-that-nobody-may-read" in file.read_bytes()]
    tiny.run("destroy", "--yes", "--skip-preview")
    assert tiny.run("stack", "export").count('"urn"') == 0


def test_a_preview_names_exactly_what_changes(checkout: Checkout) -> None:
    tiny = Tiny(checkout, "change")
    tiny.up()
    tiny.set("owner", "them")
    assert tiny.steps() == {}, "the transform ignores the owner's tag"
    tiny.set("color", "red")
    steps = tiny.steps()
    assert {name: step["op"] for name, step in steps.items()} == {GROUP: "update", IDENTITY: "update"}
    assert steps[IDENTITY]["detailedDiff"] == {"tags.color": {"kind": "update", "inputDiff": True}}
    tiny.up()
    tiny.set("region", "northeurope")
    replaced = tiny.steps()
    account = replaced["tiny azure-native:storage:StorageAccount"]
    assert account["detailedDiff"]["location"]["kind"] == "update-replace"
    assert GROUP not in replaced
    assert QUEUE not in replaced
    tiny.up()
    assert tiny.steps() == {}
    tiny.run("destroy", "--yes", "--skip-preview")


def test_refresh_finds_what_others_did_and_up_mends_it(checkout: Checkout) -> None:
    tiny = Tiny(checkout, "mended")
    tiny.up()
    url = tiny.outputs()["queueUrl"]
    with sqs(checkout) as outsider:
        outsider.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "77"})
        tiny.run("refresh", "--yes", "--skip-preview")
        changed = tiny.steps()[QUEUE]["detailedDiff"]
        assert changed == {"visibilityTimeoutSeconds": {"kind": "update", "inputDiff": True}}
        tiny.up()
        answer = outsider.get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout"])
        assert answer["Attributes"] == {"VisibilityTimeout": "30"}
        outsider.delete_queue(QueueUrl=url)
        tiny.run("refresh", "--yes", "--skip-preview")
        assert {name: step["op"] for name, step in tiny.steps().items()} == {QUEUE: "create"}
        tiny.up()
        assert outsider.get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout"])
    assert tiny.steps() == {}
    tiny.run("destroy", "--yes", "--skip-preview")


def test_options_are_the_engines_own(checkout: Checkout) -> None:
    tiny = Tiny(checkout, "options", shape={"protect": True, "old_queue": True})
    tiny.up()
    tiny.set("shape", {"old_queue": False})
    assert {name: step["op"] for name, step in tiny.steps().items()} == {"old aws:sqs/queue:Queue": "delete"}
    tiny.up()
    with sqs(checkout) as outsider:
        assert outsider.get_queue_url(QueueName="old-options")["QueueUrl"], "retain_on_delete leaves it there"
    assert "is protected" in tiny.run("destroy", "--yes", "--skip-preview", fails=True)
    group = "/subscriptions/11111111-1111-4111-8111-111111111111/resourceGroups/tiny-options"
    tiny.run("import", "azure-native:resources:ResourceGroup", "again", group, "--yes", "--generate-code=false",
             "--protect=false", "--skip-preview")  # fmt: skip
    assert "ResourceGroup::again" in tiny.run("stack", "export")
    gone = tiny.run("import", "azure-native:resources:ResourceGroup", "none", f"{group}-gone", "--yes",
                    "--generate-code=false", "--skip-preview", fails=True)  # fmt: skip
    assert "does not exist" in gone
    tiny.run("state", "unprotect", "--all", "--yes")
    tiny.run("destroy", "--yes", "--skip-preview")


def test_an_up_killed_half_way_converges(checkout: Checkout) -> None:
    tiny = Tiny(checkout, "killed")
    command = ["pulumi", "up", "--yes", "--skip-preview", "--non-interactive", "--color=never", "--stack", "killed"]
    process = subprocess.Popen(
        command, cwd=tiny.folder, env=checkout.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    for line in process.stdout:
        if "UserAssignedIdentity tiny created" in line:
            process.kill()
            break
    process.stdout.close()
    assert process.wait() == -signal.SIGKILL
    tiny.mend()
    tiny.run("cancel", "--yes")
    tiny.up()
    assert tiny.steps() == {}
    assert tiny.outputs()["mark"] == "TINY-KILLED"
    tiny.run("destroy", "--yes", "--skip-preview")


def test_interrupted_it_ends_in_order(checkout: Checkout) -> None:
    tiny = Tiny(checkout, "stopped")
    command = ["pulumi", "up", "--yes", "--skip-preview", "--color=never", "--stack", "stopped"]
    process = subprocess.Popen(
        command, cwd=tiny.folder, env=checkout.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip
    assert process.stdout
    said: list[str] = []
    for line in process.stdout:
        said.append(line)
        if "ResourceGroup tiny created" in line:
            os.killpg(process.pid, signal.SIGINT)
    process.stdout.close()
    assert process.wait() != 0
    assert "prematurely" not in "".join(said)
    assert "KeyboardInterrupt" not in "".join(said)
    tiny.up()
    assert tiny.steps() == {}
    tiny.run("destroy", "--yes", "--skip-preview")


def test_a_stack_that_is_not_local_is_refused(checkout: Checkout) -> None:
    tiny = Tiny(checkout, "elsewhere")
    tiny.set("azure-native:subscriptionId", "00000000-0000-4000-8000-000000000007")
    said = tiny.up(fails=True)
    assert "STOP: stack tiny/elsewhere is not local" in said
    assert tiny.run("stack", "export").count("ResourceGroup") == 0
