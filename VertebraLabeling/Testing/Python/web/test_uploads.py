"""What the browser sends: a bad file gets a sentence, a good one is opened."""

from __future__ import annotations

import io
import zipfile

import pytest
from browser import visitor

HEADER = b"NRRD0004\ntype: short\ndimension: 3\nsizes: 4 4 4\nencoding: raw\ndata file: /etc/passwd\n\n"
META = b"ObjectType = Image\nNDims = 3\nDimSize = 4 4 4\nElementType = MET_SHORT\nElementDataFile = /etc/passwd\n"


def zipped(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()


@pytest.fixture(scope="module")
def person(browser, server):
    """One visitor for all tests of this file: nothing that is refused may change what is open."""
    with visitor(browser, server) as visiting:
        yield visiting.open_scan()


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("report.pdf", b"%PDF-1.7 no CT", "This is no CT that can be read here"),
        ("ct.nii.gz", b"not really", "ct.nii.gz cannot be read"),
        ("ct.nrrd", HEADER, "only a header that names other files"),
        ("ct.mha", META, "only a header that names other files"),
        ("big.nii.gz", b"\0" * (2 * 10**6 + 1), "The upload is larger than 2 MB: crop the scan"),
        ("bomb.zip", zipped({"a.dcm": bytes(3 * 10**6)}), "The zip unpacks to more than 2 MB"),
        ("nested.zip", zipped({"study.zip": zipped({"a.dcm": b""})}), "The zip holds another zip"),
        ("report.zip", zipped({"report.pdf": b"%PDF-1.7"}), "The zip holds no CT that can be read here"),
    ],
    ids=["pdf", "damaged", "nrrd-header", "mha-header", "too-large", "bomb", "zip-in-zip", "zip-without-ct"],
)
def test_a_bad_file_gets_a_sentence_and_the_scan_before_stays(person, name, content, sentence):
    before = person.state("scan_name")
    person.page.set_input_files(
        "#open-menu input.file", [{"name": name, "mimeType": "application/octet-stream", "buffer": content}]
    )
    person.page.wait_for_selector("#error")
    assert sentence in person.page.inner_text("#error")
    person.wait("!state.get('busy_text') && !state.get('uploading')")
    assert person.state("scan_name") == before and person.ask("nodes") == [before]
    person.page.click("#error button")
    person.page.wait_for_selector("#error", state="detached")


def test_the_server_itself_holds_to_the_limit_and_keeps_nothing(person, server):
    form = {"file": {"name": "big.nii.gz", "mimeType": "application/gzip", "buffer": b"\0" * (2 * 10**6 + 1)}}
    answer = person.context.request.post(f"{server.url}/upload", multipart=form)
    assert "The upload is larger than 2 MB" in answer.json()["error"]
    assert [path for folder in server.session_folders() for path in folder.iterdir()] == []


def test_a_dicom_series_is_opened(person, ball_ct, tmp_path):
    from dicom_files import write_series
    from VertebraLabelingLib.scans.read_scan import read_volume

    files = write_series(tmp_path, read_volume(ball_ct))
    person.page.set_input_files("#open-menu input.file", [str(path) for path in files])
    person.wait("state.get('scan_name').startsWith('DICOM series') && !state.get('busy_text')")
    assert person.ask("nodes") == [person.state("scan_name")]


def test_a_zip_of_a_study_is_opened_under_its_name_in_any_script(person, ball_ct, tmp_path):
    from dicom_files import write_series
    from VertebraLabelingLib.scans.read_scan import read_volume

    (tmp_path / "slices").mkdir()
    files = {
        f"DICOM/{path.name}": path.read_bytes() for path in write_series(tmp_path / "slices", read_volume(ball_ct))
    }
    content = zipped({**files, "DICOMDIR": b"x", "viewer/start.exe": b"MZ"})
    sent = {"name": "研究 позвоночник.zip", "mimeType": "application/zip", "buffer": content}
    person.page.set_input_files("#open-menu input.file", [sent])
    person.wait("state.get('scan_name').startsWith('研究 позвоночник') && !state.get('busy_text')")
    assert person.ask("nodes") == [person.state("scan_name")]


@pytest.mark.parametrize("name", ["Wirbelsäule 2", "脊柱", "العمود الفقري", "a'b;c,100% (1)"])
def test_a_download_bears_the_name_of_the_scan(person, ball_ct, name):
    sent = {"name": f"{name}.nii.gz", "mimeType": "application/gzip", "buffer": ball_ct.read_bytes()}
    person.page.set_input_files("#open-menu input.file", [sent])
    person.page.wait_for_function("name => window.trame.state.get('scan_name') === name", arg=name)
    person.wait("!state.get('busy_text')")
    person.label()
    assert person.save("#save-mrk")[0] == f"{name}.mrk.json"


BUSY_FROM_SENDING_ON = """() => {
  const { send } = XMLHttpRequest.prototype;
  XMLHttpRequest.prototype.send = function (...given) {
    send.apply(this, given);
    window.trame.client.beginBusy();  // trame's client then keeps its state to itself
    XMLHttpRequest.prototype.send = send;
  };
}"""


def test_a_click_is_heard_after_an_upload_however_busy_the_browser_is(person, ball_ct):
    person.page.evaluate(BUSY_FROM_SENDING_ON)
    sent = {"name": "busy.nii.gz", "mimeType": "application/gzip", "buffer": ball_ct.read_bytes()}
    person.page.set_input_files("#open-menu input.file", [sent])
    try:
        person.wait("state.get('scan_name') === 'busy' && !state.get('busy_text')")
        person.page.click("#label")
        person.wait("state.get('rows')?.length && !state.get('running')", 30_000)
    finally:
        person.page.evaluate("window.trame.client.endBusy()")


def test_an_upload_can_be_begun_from_the_keyboard(person):
    person.page.focus("#open-menu summary")
    person.page.keyboard.press("Enter")
    person.page.keyboard.press("Tab")
    assert person.page.evaluate("document.activeElement.matches('#open-menu input.file')")
    person.page.keyboard.press("Escape")
