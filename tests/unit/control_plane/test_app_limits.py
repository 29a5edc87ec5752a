"""How many instances a site allows, where its plan says it."""

from pathlib import Path
from typing import Any

import pytest

from localcloud.control.kinds import Site
from localcloud.supervisor.apps import MOST_INSTANCES, App


@pytest.mark.parametrize(
    ("inputs", "most"),
    [
        ({}, MOST_INSTANCES),
        ({"functionAppConfig": {"scaleAndConcurrency": {"maximumInstanceCount": 40}}}, 40),
        ({"siteConfig": {"functionAppScaleLimit": 1}}, 1),
        ({"siteConfig": {"functionAppScaleLimit": 0}}, MOST_INSTANCES),  # Azure: no limit
        ({"siteConfig": {"appSettings": [{"name": "WEBSITE_MAX_DYNAMIC_APPLICATION_SCALE_OUT", "value": "3"}]}}, 3),
    ],
)
def test_the_declared_limit_is_read(inputs: dict[str, Any], most: int) -> None:
    assert App(Site(name="app", id="/app", inputs=inputs), Path()).most_instances() == most
