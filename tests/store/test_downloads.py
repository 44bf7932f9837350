import hashlib
import http.server
import socket
import threading
from pathlib import Path

import pytest

from steering_study.store import downloads
from steering_study.store.downloads import fetch_pinned

CONTENT = b'["first prompt", "second prompt"]'
FILE = "sets/some prompts.json"
PIN = {"file": FILE, "sha256": hashlib.sha256(CONTENT).hexdigest(), "n_bytes": len(CONTENT)}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """No waits, and no proxy between the tests and their server."""
    monkeypatch.setattr(downloads, "FIRST_WAIT_S", 0.0)
    monkeypatch.setattr(downloads, "TIMEOUT_S", 5.0)
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def mirror(tmp_path):
    folder = tmp_path / "my mirror"
    (folder / FILE).parent.mkdir(parents=True)
    (folder / FILE).write_bytes(CONTENT)
    return folder


@pytest.fixture
def out(tmp_path):
    return tmp_path / "raw" / "prompts.json"


@pytest.fixture
def server():
    """Answers with the status of each try in turn, the last one ever after; 0 is an answer that breaks off."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.server.asked += 1
            status = self.server.answers.pop(0) if len(self.server.answers) > 1 else self.server.answers[0]
            self.send_response(status or 200)
            self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            self.wfile.write(CONTENT if status else CONTENT[:5])

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as running:
        running.asked, running.answers = 0, [200]
        running.url = f"http://127.0.0.1:{running.server_port}/prompts.json"
        thread = threading.Thread(target=running.serve_forever, args=[0.02])
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def assert_nothing_written(out):
    assert not out.parent.exists() or not list(out.parent.iterdir())


@pytest.mark.parametrize("as_setting", [str, Path.as_uri])
def test_mirror_is_read_and_the_web_left_alone(mirror, server, out, as_setting):
    fetch_pinned(**PIN, url=server.url, mirror=as_setting(mirror), out=out)
    assert out.read_bytes() == CONTENT
    assert [path.name for path in out.parent.iterdir()] == [out.name]
    assert server.asked == 0


def test_file_that_the_mirror_lacks_comes_from_the_url(tmp_path, server, out):
    fetch_pinned(**PIN, url=server.url, mirror=str(tmp_path), out=out)
    assert out.read_bytes() == CONTENT


@pytest.mark.parametrize("fault", [503, 429, 0])
def test_passing_fault_is_tried_again(server, out, fault):
    server.answers = [fault, fault, 200]
    fetch_pinned(**PIN, url=server.url, mirror=None, out=out)
    assert out.read_bytes() == CONTENT
    assert server.asked == 3


@pytest.mark.parametrize(("status", "tries"), [(503, 3), (404, 1)])
def test_lasting_fault_names_the_mirror_setting(server, out, status, tries):
    server.answers = [status]
    with pytest.raises(
        OSError, match=rf"no mirror is set, .* failed \(status {status}\); set prompts.mirror in config"
    ):
        fetch_pinned(**PIN, url=server.url, mirror=None, out=out)
    assert server.asked == tries
    assert_nothing_written(out)


def test_unreachable_host_names_the_mirror_that_lacks_the_file(tmp_path, out):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/prompts.json"
    with pytest.raises(
        OSError, match=r"it is not in prompts\.mirror .*refused.*; set prompts\.mirror in config"
    ):
        fetch_pinned(**PIN, url=url, mirror=str(tmp_path), out=out)
    assert_nothing_written(out)


def test_waits_grow_between_tries(server, out, monkeypatch):
    waits = []
    monkeypatch.setattr(downloads, "FIRST_WAIT_S", 2.0)
    monkeypatch.setattr(downloads.time, "sleep", waits.append)
    server.answers = [503]
    with pytest.raises(OSError, match="cannot be fetched"):
        fetch_pinned(**PIN, url=server.url, mirror=None, out=out)
    assert waits == [2.0, 4.0]


def test_wrong_digest_leaves_no_file(mirror, out):
    changed = CONTENT.replace(b"first", b"First")
    (mirror / FILE).write_bytes(changed)
    found = hashlib.sha256(changed).hexdigest()
    with pytest.raises(
        ValueError, match=f"expected sha256 {PIN['sha256']} .*found {found}.*replace the copy"
    ) as refusal:
        fetch_pinned(**PIN, url="https://example.org/x.json", mirror=str(mirror), out=out)
    assert str(refusal.value).startswith(FILE)
    assert_nothing_written(out)


def test_wrong_download_leaves_the_old_file(server, out):
    out.parent.mkdir()
    out.write_bytes(b"old")
    with pytest.raises(ValueError, match="is not the pinned file"):
        fetch_pinned(**(PIN | {"sha256": "0" * 64}), url=server.url, mirror=None, out=out)
    assert out.read_bytes() == b"old"
    assert len(list(out.parent.iterdir())) == 1


def test_wrong_size_is_refused(mirror, out):
    with pytest.raises(ValueError, match=r"\(34 bytes\), found \w+ \(33 bytes\)"):
        fetch_pinned(**(PIN | {"n_bytes": 34}), url="https://example.org/x.json", mirror=str(mirror), out=out)
    assert_nothing_written(out)


@pytest.mark.parametrize(
    ("mirror", "message"),
    [
        ("https://example.org/mirror", r"expected a folder or a file:// URL; download the files there first"),
        ("file://host/share", r"expected a folder or a file:// URL"),
        ("no/such/folder", r"'no/such/folder', which is not a folder; correct it or set it to null"),
    ],
)
def test_unusable_mirror_is_refused(out, mirror, message):
    with pytest.raises(ValueError, match=message):
        fetch_pinned(**PIN, url="https://example.org/x.json", mirror=mirror, out=out)


def test_url_is_of_the_web(mirror, out):
    with pytest.raises(ValueError, match="expected http or https"):
        fetch_pinned(**PIN, url=(mirror / FILE).as_uri(), mirror=None, out=out)
