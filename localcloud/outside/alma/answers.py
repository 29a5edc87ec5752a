"""Alma's own ways of saying no."""

import secrets
import time
from typing import Any
from xml.sax.saxutils import escape

from aiohttp import web

ERRORS = "http://com/exlibris/urm/general/xmlbeans"
MISSING_RECORD = {"bib": "402203", "holding": "60213", "item": "401873", "user": "401861"}
"""Documented codes of the four kinds; of an item's the code is our reading."""


class No(Exception):  # noqa: N818 - an answer
    """A refusal: status, code, words."""

    def __init__(self, status: int, code: str, text: str) -> None:
        super().__init__(text)
        self.status, self.code, self.text = status, code, text


def refusal(
    status: int, code: str, text: str, headers: dict[str, str] | None = None, *, json: bool = False
) -> web.Response:
    """`web_service_result` or, where JSON was asked for, `errorList`."""
    tracking = f"E01-{time.strftime('%d%m%H%M%S', time.gmtime())}-{secrets.token_hex(3).upper()[:5]}-AWAE1"
    if json:
        error = {"errorCode": code, "errorMessage": text, "trackingId": tracking}
        body: dict[str, Any] = {"errorsExist": True, "errorList": {"error": [error]}, "result": None}
        return web.json_response(body, status=status, headers=headers)
    xml = (
        f'<?xml version="1.0" encoding="UTF-8" standalone="yes"?><web_service_result xmlns="{ERRORS}">'
        f"<errorsExist>true</errorsExist><errorList><error><errorCode>{escape(code)}</errorCode>"
        f"<errorMessage>{escape(text)}</errorMessage><trackingId>{tracking}</trackingId></error></errorList>"
        "</web_service_result>"
    )
    return web.Response(status=status, body=xml.encode(), headers={**(headers or {}), "Content-Type": XML})


XML = "application/xml;charset=UTF-8"
