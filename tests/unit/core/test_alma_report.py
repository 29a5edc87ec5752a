"""Pages of Analytics reports, in the forms that are known of the real service."""

from __future__ import annotations

from xml.sax.saxutils import escape, quoteattr

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.clients.alma_report import Page, ReportFault, distinct, read_page
from core.clients.faults import Corrupt

DOCUMENTED = """<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<report><QueryResult>
  <ResumptionToken>
    8D288490B28E6
  </ResumptionToken>
  <IsFinished>false</IsFinished>
  <ResultXml>
    <rowset:rowset xmlns:rowset="urn:schemas-microsoft-com:xml-analysis:rowset"
        xmlns="urn:schemas-microsoft-com:xml-analysis:rowset">
      <xsd:schema xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:saw-sql="urn:saw-sql"
          targetNamespace="urn:schemas-microsoft-com:xml-analysis:rowset">
        <xsd:complexType name="Row"><xsd:sequence>
          <xsd:element name="Column0" type="xsd:int" minOccurs="1" maxOccurs="1" saw-sql:type="integer"
              saw-sql:displayFormula="0" saw-sql:columnHeading="0"/>
          <xsd:element name="Column1" type="xsd:string" minOccurs="0" maxOccurs="1" saw-sql:type="varchar"
              saw-sql:columnHeading="Übernahme &amp; 資料"/>
          <xsd:element name="Column2" type="xsd:string" saw-sql:columnHeading="Title"/>
          <xsd:element name="Column3" type="xsd:string" saw-sql:columnHeading="Title"/>
          <xsd:element name="Column4" type="xsd:string" saw-sql:columnHeading=""/>
        </xsd:sequence></xsd:complexType>
      </xsd:schema>
      <Row><Column0>0</Column0><Column1>39031025815804</Column1><Column3>Zweiter &lt;Titel&gt;</Column3></Row>
      <Row><Column0>0</Column0><Column1/><Column2> a b </Column2></Row>
    </rowset:rowset>
  </ResultXml>
</QueryResult></report>""".encode()


def _page(rows: str, *, schema: str = "", finished: str = "true", token: str = "") -> bytes:
    token = f"<ResumptionToken>{token}</ResumptionToken>" if token else ""
    return (
        f"<report><QueryResult>{token}<IsFinished>{finished}</IsFinished><ResultXml><rowset>{schema}{rows}</rowset>"
        "</ResultXml></QueryResult></report>"
    ).encode()


def test_the_documented_form() -> None:
    assert read_page(DOCUMENTED) == Page(
        columns=("0", "Übernahme & 資料", "Title", "Title (2)", "Column4"),
        rows=[("0", "39031025815804", None, "Zweiter <Titel>", None), ("0", "", " a b ", None, None)],
        finished=False,
        token="8D288490B28E6",
    )


def test_query_result_may_be_the_root_and_prefixes_may_differ() -> None:
    body = (
        DOCUMENTED.replace(b"<report>", b"")
        .replace(b"</report>", b"")
        .replace(b"xsd:", b"x:")
        .replace(b"saw-sql:", b"s:")
    )
    body = body.replace(b"xmlns:xsd", b"xmlns:x").replace(b"xmlns:saw-sql", b"xmlns:s")
    assert read_page(body) == read_page(DOCUMENTED)


def test_a_later_page_has_no_headings_and_no_token() -> None:
    body = _page("<Row><Column0>0</Column0><Column2>b</Column2></Row>", finished="false")
    told = read_page(body, ("0", "A", "B", "C"))
    assert (told.columns, told.rows, told.token) == (("0", "A", "B", "C"), [("0", None, "b", None)], None)
    untold = read_page(body)
    assert (untold.columns, untold.rows) == ((), [("0", None, "b")])


def test_no_rows() -> None:
    empty = read_page(b"<report><QueryResult><IsFinished>true</IsFinished><ResultXml/></QueryResult></report>")
    assert (empty.columns, empty.rows, empty.finished) == ((), [], True)


def test_a_renamed_column_shows() -> None:
    schema = '<schema><element name="Column0" saw:columnHeading="Bar code" xmlns:saw="urn:saw-sql"/></schema>'
    assert read_page(_page("", schema=schema), ("Barcode",)).columns == ("Bar code",)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"<html><body>Bad gateway</body></html>", "must be a QueryResult, got html"),
        (_page("", finished="perhaps"), "IsFinished must be true or false, got 'perhaps'"),
        (b"<report><QueryResult/></report>", "IsFinished"),
        (_page("<Row><Column0><b>x</b></Column0></Row>"), "Column0 must hold text, got <b>"),
        (_page("<Row><Column0>1</Column0><Column0>2</Column0></Row>"), "row 1 has Column0 twice"),
        (_page("<Row><Name>1</Name></Row>"), "must be Column0 to Column999, got 'Name'"),
        (_page("<Row><Column123456>1</Column123456></Row>"), "Column123456"),
        (b"<!DOCTYPE report><report/>", "no DOCTYPE"),
        (_page("<Row>" + "<a>" * 20), "Column|text"),
        (b"<a>" * 17, "at most 16 levels"),
    ],
)
def test_faults_are_named(body: bytes, says: str) -> None:
    with pytest.raises(ReportFault, match=says):
        read_page(body)


def test_a_column_beyond_the_known_ones_is_a_fault() -> None:
    with pytest.raises(ReportFault, match="row 1 has Column2, and the report has only 2 columns"):
        read_page(_page("<Row><Column2>1</Column2></Row>"), ("A", "B"))


def test_half_a_page_is_no_lasting_fault() -> None:
    for length in range(0, len(DOCUMENTED), 7):
        with pytest.raises(Corrupt):
            read_page(DOCUMENTED[:length])


def test_headings_become_distinct() -> None:
    assert distinct(["A", "A (2)", "A", "A"]) == ("A", "A (2)", "A (3)", "A (4)")


TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn"]), max_size=20)


@given(st.data())
def test_what_was_written_is_read(data: st.DataObject) -> None:
    headings = data.draw(
        st.lists(TEXT.map(str.strip).filter(bool).map(lambda t: " ".join(t.split())), min_size=1, max_size=6)
    )
    cells = st.one_of(st.none(), TEXT)
    rows = data.draw(st.lists(st.tuples(*[cells] * len(headings)), max_size=5))
    elements = "".join(
        f'<xsd:element name="Column{at}" saw-sql:columnHeading={quoteattr(heading)}/>'
        for at, heading in enumerate(headings)
    )
    text = "".join(
        "<Row>"
        + "".join(f"<Column{at}>{escape(cell)}</Column{at}>" for at, cell in enumerate(row) if cell is not None)
        + "</Row>"
        for row in rows
    )
    page = read_page(_page(text, schema=f"<xsd:schema>{elements}</xsd:schema>"))
    assert page.rows == rows
    assert page.columns == distinct(headings)
    assert len(set(page.columns)) == len(headings)
