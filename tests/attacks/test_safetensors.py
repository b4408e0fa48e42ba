"""Weights whose header lies about where they are: refused, and nothing beyond the file is read or taken."""

import json
import shutil
import struct

import pytest
from peft import LoraConfig, get_peft_model
from tiny import make_model, save

from calibfast.errors import InputError
from calibfast.models.adapter import load_adapter
from calibfast.models.load import load_model


def header_of(made):
    size = struct.unpack("<Q", made[:8])[0]
    return json.loads(made[8 : 8 + size]), made[8 + size :]


def rewritten(change):
    def harm(made):
        header, data = header_of(made)
        name = min(name for name in header if name != "__metadata__")
        change(header[name])
        text = json.dumps(header).encode()
        return struct.pack("<Q", len(text)) + text + data

    return harm


def offsets(find):
    return rewritten(lambda tensor: tensor.update(data_offsets=find(*tensor["data_offsets"])))


HARMS = {
    "past the end": offsets(lambda begin, end: [begin + (1 << 40), end + (1 << 40)]),
    "overlapping": offsets(lambda begin, end: [begin + 4, end + 4]),
    "backwards": offsets(lambda begin, end: [end, begin]),
    "below zero": offsets(lambda begin, end: [-4, end]),
    "past 64 bits": offsets(lambda begin, end: [begin, 1 << 64]),
    "shape overflows": rewritten(lambda tensor: tensor.update(shape=[1 << 62, 1 << 62])),
    "unknown type": rewritten(lambda tensor: tensor.update(dtype="OBJECT")),
    "huge header": lambda made: struct.pack("<Q", (1 << 63) - 1) + made[8:],
    "deep header": lambda made: struct.pack("<Q", 200_000) + b"[" * 200_000,
    "no header": lambda made: made[:4],
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sound")
    save(folder / "model")
    get_peft_model(make_model(), LoraConfig(r=2)).save_pretrained(folder / "adapter")
    return folder


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("harm", HARMS)
def test_refused(folders, tmp_path, harm):
    for kind, load in (
        ("model", lambda path: load_model(path, device="cpu")),
        ("adapter", lambda path: load_adapter(make_model(), path)),
    ):
        shutil.copytree(folders / kind, tmp_path / kind)
        [file] = (tmp_path / kind).glob("*.safetensors")
        file.write_bytes(HARMS[harm](file.read_bytes()))
        with pytest.raises(InputError) as refused:
            load(tmp_path / kind)
        assert str(tmp_path / kind) in str(refused.value)
        assert "\n" not in str(refused.value)
