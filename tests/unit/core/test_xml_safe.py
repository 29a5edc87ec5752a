"""XML from outside: what is refused, and where a document that is cut off differs from a wrong one."""

from __future__ import annotations

from xml.etree.ElementTree import TreeBuilder

import pytest

from core.clients.faults import Corrupt
from core.clients.xml_safe import XmlFault, parse

BOMB = b"""<?xml version="1.0"?>
<!DOCTYPE report [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;">]>
<report>&c;</report>"""


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (BOMB, "no DOCTYPE, got one at line 2"),
        (b'<!DOCTYPE r SYSTEM "file:///etc/passwd"><r/>', "DOCTYPE"),
        (b'<!DOCTYPE r [<!ENTITY x SYSTEM "http://127.0.0.1/">]><r>&x;</r>', "DOCTYPE"),
        (b'<!DOCTYPE r [<!ENTITY % p SYSTEM "http://127.0.0.1/"> %p;]><r/>', "DOCTYPE"),
        ('<!DOCTYPE r [<!ENTITY x "y">]><r>&x;</r>'.encode("utf-16"), "DOCTYPE"),
        (b"<r>&x;</r>", "undefined entity"),
        (b"<r><a></r>", "mismatched tag at line 1"),
        (b'<?xml version="1.0" encoding="utf-7"?><r/>', "encoding"),
        (b"<r/><r/>", "junk"),
        (b"<r>\x01</r>", "not well-formed"),
        (b"<r>" * 65, "at most 64 levels"),
        (b"<r>" + b" " * 2000 + b"</r>", "at most 1000 bytes, got 2007"),
        (b"not xml", "syntax error"),
    ],
)
def test_refused(body: bytes, says: str) -> None:
    with pytest.raises(XmlFault, match=says):
        parse(body, TreeBuilder(), max_bytes=1000)


def test_every_way_of_being_cut_off_is_no_lasting_fault() -> None:
    body = '<?xml version="1.0" encoding="UTF-8"?>\n<r a="ü"><!-- é --><b>Ωμέγα &amp; 資</b><![CDATA[x]]></r>'.encode()
    for length in range(len(body)):
        with pytest.raises(Corrupt):
            parse(body[:length], TreeBuilder(), max_bytes=1000)
    builder = TreeBuilder()
    parse(body, builder, max_bytes=1000)
    assert builder.close()[0].text == "Ωμέγα & 資"
