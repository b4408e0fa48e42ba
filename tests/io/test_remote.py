"""Files on web servers and in object stores."""

import io
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import calibfast as library
from calibfast.errors import InputError
from calibfast.io import remote
from calibfast.io.files import prediction_files

RNG = np.random.default_rng(0)
P = RNG.random(50_000, dtype=np.float32)
Y = RNG.random(50_000) < P


class Handler(BaseHTTPRequestHandler):
    """Files of a folder, by ranges; what was asked for is written down, and the first answers may fail."""

    protocol_version = "HTTP/1.1"

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        server = self.server
        name, _, query = self.path.partition("?")
        path = server.folder / name.lstrip("/")
        server.sent.append((self.command, self.path, self.headers.get("Range")))
        if query != server.signature or (query and self.command != "GET"):
            self.send_error(403)
            return
        if not path.is_file():
            self.send_error(404)
            return
        data = path.read_bytes()
        start, end = 0, len(data)
        if asked := re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", "")):
            start, end = int(asked[1]), min(int(asked[2]) + 1, len(data))
        fault = server.faults.pop(0) if server.faults and self.command == "GET" else None
        if fault == "busy":
            self.send_error(503)
            return
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(end - start))
        self.send_header("Last-Modified", "Sat, 01 Jan 2022 00:00:00 GMT")
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(data)}")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data[start : (start + end) // 2 if fault == "dies" else end])
            self.close_connection = fault == "dies"

    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path):
    """A web server over a folder."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        httpd.folder, httpd.sent, httpd.faults, httpd.signature = tmp_path, [], [], ""
        httpd.url = f"http://127.0.0.1:{httpd.server_port}"
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield httpd
        httpd.shutdown()
    remote._store.cache_clear()


@pytest.mark.parametrize("name", ["a.npy", "a.npz", "a.parquet", "a.csv.gz", "a.arrow"])
def test_every_format_is_read_by_ranges(server, name, monkeypatch):
    monkeypatch.setattr(remote, "_BUFFER", 1 << 16)
    path = server.folder / name
    if name == "a.npy":
        np.save(path, np.stack([P, Y], axis=1))
    elif name == "a.npz":
        np.savez(path, confidence=P, correct=Y)
    elif name == "a.csv.gz":
        np.savetxt(path, np.stack([P, Y], axis=1), delimiter=",", header="confidence,correct", comments="", fmt="%.9g")
    else:
        table = pa.table({"confidence": P, "correct": Y, "text": ["what is not needed is not fetched"] * len(P)})
        if name == "a.parquet":
            pq.write_table(table, path, use_dictionary=False, compression="none")
        else:
            with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
                writer.write_table(table)
    assert library.stream(f"{server.url}/{name}", dtype="float32") == library.evaluate(P, Y)
    if name == "a.parquet":
        asked = [re.findall(r"\d+", found) for _, _, found in server.sent if found]
        assert sum(int(last) - int(first) + 1 for first, last in asked) < path.stat().st_size / 2


@pytest.mark.parametrize("fault", ["busy", "dies"])
def test_a_server_that_fails_is_asked_again(server, fault):
    np.save(server.folder / "a.npy", np.stack([P, Y], axis=1))
    server.faults += [fault, fault]
    assert library.stream(f"{server.url}/a.npy") == library.evaluate(P, Y)
    assert server.faults == []


def test_what_is_not_there(calibfast, server):
    code, out, err = calibfast("ece", f"{server.url}/none.npy")
    assert (code, out) == (2, "")
    assert err == f"error: {server.url}/none.npy: there is no such file\n"
    assert "does not list its files" in calibfast("ece", f"{server.url}/shards/")[2]


def test_a_state_knows_remote_files(calibfast, server, tmp_path):
    np.save(server.folder / "a.npy", np.stack([P, Y], axis=1))
    for _ in range(2):
        assert calibfast("ece", f"{server.url}/a.npy", "--state", tmp_path / "s.cfs")[0] == 0
    assert [asked for _, _, asked in server.sent][-1] == "bytes=0-0"  # it is not read again
    np.save(server.folder / "a.npy", np.stack([P, Y], axis=1)[1:])
    assert "has changed since" in calibfast("ece", f"{server.url}/a.npy", "--state", tmp_path / "s.cfs")[2]


def test_a_signed_url_is_read_and_its_signature_never_shown(calibfast, server, tmp_path):
    server.signature = "X-Amz-Signature=5ec7e7%2F&X-Amz-Expires=60"
    np.save(server.folder / "a.npy", np.stack([P, Y], axis=1))
    url = f"{server.url}/a.npy?{server.signature}"
    assert library.stream(url) == library.evaluate(P, Y)
    assert calibfast("ece", url, "--state", tmp_path / "s.cfs")[0] == 0
    assert b"5ec7e7" not in (tmp_path / "s.cfs").read_bytes()
    np.save(server.folder / "a.npy", np.stack([P, Y], axis=1)[1:])
    for problem, said in ((url, "has changed since"), (f"{server.url}/a.npy?X=5ec7e7", "no permission")):
        code, out, err = calibfast("ece", problem, "--state", tmp_path / "s.cfs")
        assert (code, out) == (2, "")
        assert said in err
        assert f"{server.url}/a.npy" in err
        assert "5ec7e7" not in err


@pytest.fixture(scope="module")
def bucket():
    """A store that speaks the protocol of S3 and checks nothing, with three files."""
    moto = pytest.importorskip("moto.server")
    server = moto.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    with pytest.MonkeyPatch.context() as patch:
        environment = {
            "AWS_ENDPOINT": "http://{}:{}".format(*server.get_host_and_port()),
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_REGION": "us-east-1",
        }
        for name, value in environment.items():
            patch.setenv(name, value)
        import boto3

        client = boto3.client("s3", endpoint_url=environment["AWS_ENDPOINT"])
        client.create_bucket(Bucket="runs")
        for part in range(3):
            file = io.BytesIO()
            pq.write_table(pa.table({"confidence": P[part::3], "correct": Y[part::3]}), file, row_group_size=4096)
            client.put_object(Bucket="runs", Key=f"mmlu/part {part}.parquet", Body=file.getvalue())
        yield client
    server.stop()
    remote._store.cache_clear()


def test_s3_by_its_protocol(bucket, calibfast, tmp_path):
    assert library.stream("s3://runs/mmlu/*.parquet") == library.evaluate(P, Y)
    assert library.stream("s3://runs/mmlu") == library.stream("s3://runs/*/part ?.parquet")
    signed = bucket.generate_presigned_url("get_object", {"Bucket": "runs", "Key": "mmlu/part 0.parquet"})
    assert library.stream(signed).n == len(P[::3])
    code, _, err = calibfast("ece", "s3://runs/none/*.parquet")
    assert code == 2
    assert "holds no prediction files" in err


def test_patterns_and_folders_of_a_store(monkeypatch):
    from obstore.store import MemoryStore

    store = MemoryStore()
    for name in ("run/a.csv", "run/b.csv", "run/deep/c.csv", "run/_log.csv", "run/readme.txt", "other/d.csv"):
        store.put(name, b"confidence,correct\n0.75,1\n")
    monkeypatch.setattr(remote, "_store", lambda _: store)
    for source, names in (
        ("s3://bucket/run/*.csv", "run/a run/b"),
        ("s3://bucket/run/**/*.csv", "run/a run/b run/deep/c"),
        ("s3://bucket/**/[cd].csv", "other/d run/deep/c"),
        ("gs://bucket/run", "run/a run/b run/deep/c"),
        ("az://bucket/run/deep/c.csv", "run/deep/c"),
    ):
        found = prediction_files(source)
        assert [file.url.partition("bucket/")[2].removesuffix(".csv") for file in found] == names.split()
        assert library.stream(source).n == len(found)
    with pytest.raises(InputError, match="holds no prediction files"):
        prediction_files("s3://bucket/none/*.csv")
