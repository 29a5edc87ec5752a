"""Pulumi's own options, with a program that none of ours resembles. Write one here when a program of others trips."""

import json
import random
import subprocess

import pytest

from tests.integration.engine.checkout import LIMIT_S, Checkout, Tiny
from tests.integration.engine.outsider import sqs

pytestmark = pytest.mark.timeout(300)


def test_options_aliases_and_functions_of_a_foreign_program(checkout: Checkout) -> None:
    foreign = Tiny(checkout, "foreign", program="foreign_program.py")
    foreign.up()
    assert foreign.steps() == {}
    outputs = foreign.outputs()
    assert outputs["where"] == ["eu-central-1", "northeurope", "westeurope", "westeurope"]
    assert outputs["arn"].startswith("arn:aws:sqs:us-east-1:123456789012:queue-")
    assert outputs["sameAccount"] is True
    assert "a-key-that-nobody-may-read" not in foreign.run("stack", "export")
    assert "[secret]" in foreign.run("stack", "output", "tags")

    foreign.set("phase", 2)
    steps = {name.split()[0]: step["op"] for name, step in foreign.steps().items()}
    assert steps == {
        "acct": "update",
        "queue": "replace",
        "policy": "replace",
        "after": "create",
        "before": "delete",
    }
    foreign.up()
    assert foreign.run("refresh", "--preview-only", "--expect-no-changes")
    assert "unchanged" in foreign.up("--replace", "**Queue::after")
    assert "unchanged" in foreign.run("refresh", "--yes", "--skip-preview", "--expect-no-changes")

    with sqs(checkout) as outsider:
        # A queue that is made anew by others has lost its policy.
        name = foreign.outputs()["url"].rsplit("/", 1)[-1]
        outsider.delete_queue(QueueUrl=foreign.outputs()["url"])
        outsider.create_queue(QueueName=name, Attributes={"VisibilityTimeout": "32"})
    foreign.run("refresh", "--yes", "--skip-preview")
    assert {name.split()[0]: step["op"] for name, step in foreign.steps().items()} == {"policy": "create"}
    foreign.run("up", "--yes", "--skip-preview", "--target", "**QueuePolicy::policy")
    foreign.run("destroy", "--yes", "--skip-preview", "--target", "**QueuePolicy::policy")
    foreign.run("destroy", "--yes", "--skip-preview")


def test_a_programs_mistakes_are_one_clear_message(checkout: Checkout) -> None:
    odd = Tiny(checkout, "odd")
    for line, said in {
        "azure.resources.ResourceGroup.get('x', '/subscriptions/s/resourceGroups/nope')": "does not exist",
        "aws.ec2.get_vpc(default=True)": "add it to FUNCTIONS in localcloud/control/functions.py",
        "azure.network.VirtualNetwork('v', resource_group_name='x')": "TYPES in localcloud/control/extract_azure.py",
        "azure.storage.get_storage_account('no', 'no')": "must name a azure-native:storage:StorageAccount that exists",
    }.items():
        (odd.folder / "__main__.py").write_text(f"import pulumi_aws as aws, pulumi_azure_native as azure\n{line}\n")
        assert said in odd.run("preview", fails=True), line


def test_killed_anywhere_it_converges(checkout: Checkout) -> None:
    tiny = Tiny(checkout, "killedoften")
    dice = random.Random(4)
    command = ["pulumi", "up", "--yes", "--skip-preview", "--non-interactive", "--color=never", "--stack", tiny.stack]
    for _ in range(2):
        last = dice.randrange(1, 9)
        with subprocess.Popen(
            command, cwd=tiny.folder, env=checkout.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            text=True,
        ) as process:  # fmt: skip
            made = 0
            for line in process.stdout or ():
                made += " created " in line
                if made == last:
                    process.kill()
                    break
        tiny.mend()
        tiny.run("cancel", "--yes")
        tiny.up()
        assert tiny.steps() == {}
        tiny.run("destroy", "--yes", "--skip-preview")


def test_another_teams_program_reads_our_outputs(checkout: Checkout) -> None:
    """`docs/examples/consume_outputs`, through a StackReference to a stack that exports what ours does."""
    tiny = Tiny(checkout, "exporter")
    outputs: dict[str, dict[str, object]] = {
        "foundation": {"workspaceId": "/w", "vaultUri": "https://vault"},
        "logIngest": {
            "table": "Code42Logs_CL", "bucket": "logs", "queueUrl": "q", "failedUrl": "f", "progressUrl": "p",
            "functionApp": "app", "addedLater": 1,
        },
    }  # fmt: skip
    exports = "".join(f"pulumi.export({name!r}, {value!r})\n" for name, value in outputs.items())
    (tiny.folder / "__main__.py").write_text(f"import pulumi\n{exports}")
    tiny.up()
    reader = Tiny(checkout, "reader", example="docs/examples/consume_outputs")
    reader.set("millraceStack", "organization/tiny/exporter")
    checkout.environment["PYTHONPATH"] = str(checkout.root / "stacks" / "outputs-reader")
    try:
        reader.up()
        said = json.loads(reader.run("stack", "output", "--json"))
        assert said == {
            "workspaceId": "/w",
            "dailyQuery": "Code42Logs_CL | summarize count() by bin(TimeGenerated, 1d)",
            "putFilesInto": "logs",
        }
        del outputs["logIngest"]["bucket"]
        exports = "".join(f"pulumi.export({name!r}, {value!r})\n" for name, value in outputs.items())
        (tiny.folder / "__main__.py").write_text(f"import pulumi\n{exports}")
        tiny.up()
        assert "install the version of millrace-outputs" in reader.up(fails=True)
    finally:
        del checkout.environment["PYTHONPATH"]


def test_print_env_works_from_any_folder_and_refuses_prod(checkout: Checkout) -> None:
    for place in (["--stack", "prod"], ["-s", "prod"], ["--stack=organization/millrace/prod"]):
        done = subprocess.run(
            [str(checkout.root / ".venv" / "bin" / "python"), "-m", "cli", "pulumi", "up", "--yes", *place],
            cwd=checkout.root, capture_output=True, text=True, check=False, timeout=LIMIT_S, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert done.returncode != 0
        assert "STOP: stack prod is not local" in done.stderr, place
