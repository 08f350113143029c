"""Images: MNIST as shipped, splits, conversions, and every fault of a file, a folder or a network."""

import gzip
import hashlib
import io
import struct
import subprocess
import sys
import urllib.error

import pytest
import torch

from course_utils import data
from course_utils.data import files
from course_utils.data import images as image_sets
from course_utils.system import folders

MNIST = folders.ROOT / "data" / "mnist"
ORIGINAL_MD5 = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}


def md5(content):
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def small_split(n=12):
    x = torch.arange(n * 4, dtype=torch.uint8).view(n, 1, 2, 2)
    return data.Split(x, torch.arange(n) % 3)


# ---------------------------------------------------------------- MNIST as shipped


@pytest.mark.parametrize("name", ORIGINAL_MD5)
def test_decompressed_files_are_the_originals(name):
    assert md5(gzip.decompress((MNIST / f"{name}.gz").read_bytes())) == ORIGINAL_MD5[name]


def test_readme_lists_the_checksums_that_loading_verifies():
    readme = (folders.ROOT / "data" / "README.md").read_text(encoding="utf-8")
    for name, (digest, size) in image_sets.MNIST_FILES.items():
        assert f"| `{name}` | {size:,} | `{digest}` |" in readme
    for name, digest in ORIGINAL_MD5.items():
        assert f"| `{name}` | `{digest}` |" in readme
    for needed in (
        "Y. LeCun, C. Cortes and C. Burges",
        "CC BY-SA 3.0",
    ):
        assert needed in readme


def test_splits_are_the_originals_cut_at_55000():
    images = data.mnist()
    raw_x = gzip.decompress((MNIST / "train-images-idx3-ubyte.gz").read_bytes())[16:]
    raw_y = gzip.decompress((MNIST / "train-labels-idx1-ubyte.gz").read_bytes())[8:]
    assert [len(s) for s in (images.train, images.val, images.test)] == [55_000, 5_000, 10_000]
    # train followed by val is the original, byte by byte: the two share no example and lose none
    assert images.train.x.numpy().tobytes() + images.val.x.numpy().tobytes() == raw_x
    assert torch.cat([images.train.y, images.val.y]).tolist() == list(raw_y)
    assert (
        images.test.x.numpy().tobytes()
        == gzip.decompress((MNIST / "t10k-images-idx3-ubyte.gz").read_bytes())[16:]
    )
    for split in (images.train, images.val, images.test):
        assert (
            split.x.dtype == torch.uint8 and split.x.shape[1:] == (1, 28, 28) and split.x.device.type == "cpu"
        )
        assert split.y.dtype == torch.int64 and split.y.unique().tolist() == list(range(10))


def test_no_image_is_in_two_splits():
    images = data.mnist()
    train, val, test = ({x.tobytes() for x in s.x.numpy()} for s in (images.train, images.val, images.test))
    assert not train & val and not train & test and not val & test


def test_classes_are_balanced_within_a_quarter():
    images = data.mnist()
    for split in (images.train, images.val, images.test):
        share = torch.bincount(split.y, minlength=10) * 10 / len(split)
        assert share.min() > 0.75 and share.max() < 1.25
    assert images.classes == tuple("0123456789") and images.name == "digits"


def test_a_set_is_read_once_and_without_torchvision():
    code = (
        "import sys, course_utils as cu; assert cu.mnist() is cu.mnist();"
        "bad = {'torchvision', 'matplotlib', 'sklearn'} & set(sys.modules); assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=folders.ROOT)


def test_data_module_holds_the_names_of_the_design():
    import course_utils as cu

    for name in ("mnist", "my_digit", "Batches", "to_uint8", *cu.POINTS):
        assert getattr(cu.data, name) is getattr(cu, name)


# ---------------------------------------------------------------- Split


def test_float_is_exactly_x_over_255():
    split = data.Split(
        torch.arange(256, dtype=torch.uint8).view(4, 1, 8, 8), torch.zeros(4, dtype=torch.int64)
    )
    exact = (torch.arange(256, dtype=torch.float64) / 255).to(torch.float32)
    assert torch.equal(split.float().flatten(), exact) and split.float().dtype == torch.float32
    assert torch.equal(split.flat(), exact.view(4, 64))


@pytest.mark.parametrize(
    "index, rows",
    [
        (slice(2, 5), [2, 3, 4]),
        (torch.tensor([7, 1, 1]), [7, 1, 1]),
        (torch.arange(12) % 5 == 0, [0, 5, 10]),
        ([3, 0], [3, 0]),
        (4, [4]),
        (-1, [11]),
        ([], []),
    ],
)
def test_indexing_gives_a_split_of_copies(index, rows):
    split = small_split()
    part = split[index]
    assert (
        isinstance(part, data.Split)
        and torch.equal(part.x, split.x[rows])
        and torch.equal(part.y, split.y[rows])
    )
    part.x.fill_(99)
    assert torch.equal(split.x, small_split().x), "writing into a part changed the whole"


def test_index_out_of_range_and_iteration():
    split = small_split()
    with pytest.raises(IndexError):
        split[12]
    assert [len(one) for one in split] == [1] * 12


def test_only_keeps_the_classes_in_order():
    split = small_split()
    assert torch.equal(split.only(0, 2).x, split.x[split.y != 1])
    with pytest.raises(ValueError, match=r"label 7; there are: \[0, 1, 2\]"):
        split.only(7)


def test_sample_is_without_replacement_and_reproducible():
    split = small_split()
    before = torch.get_rng_state()
    a, b, c = split.sample(8, seed=1), split.sample(8, seed=1), split.sample(8, seed=2)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(a.x, b.x) and not torch.equal(a.x, c.x)
    assert len(a.x.flatten(1)[:, 0].unique()) == 8
    assert set(split.sample(12).x[:, 0, 0, 0].tolist()) == set(split.x[:, 0, 0, 0].tolist())
    with pytest.raises(ValueError, match="13 different examples from 12"):
        split.sample(13)


def test_split_refuses_what_does_not_fit():
    x, y = small_split().x, small_split().y
    with pytest.raises(ValueError, match="to_uint8"):
        data.Split(x.float(), y)
    with pytest.raises(ValueError, match="one int64 label per image: x has 12 images"):
        data.Split(x, y[:-1])
    with pytest.raises(ValueError, match="int64 label"):
        data.Split(x, y.float())


# ---------------------------------------------------------------- to_uint8


def test_to_uint8_inverts_float_and_keeps_uint8():
    x = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    assert torch.equal(data.to_uint8(x.float() / 255), x) and data.to_uint8(x) is x
    assert torch.equal(data.to_uint8((x.float() / 255).numpy()), x)
    assert data.to_uint8(torch.tensor([-0.04, 0.0019, 0.002, 1.04, 1.0])).tolist() == [0, 0, 1, 255, 255]
    assert data.to_uint8(torch.tensor([True, False])).tolist() == [255, 0]
    assert data.to_uint8(torch.rand(3, requires_grad=True)).dtype == torch.uint8
    assert data.to_uint8(torch.empty(0, 1, 28, 28)).shape == (0, 1, 28, 28)


@pytest.mark.parametrize(
    "values, says",
    [
        ([float("nan"), 0.5], "not finite"),
        ([0.5, float("inf")], "not finite"),
        ([-1.0, 1.0], r"\(x \+ 1\) / 2"),
        ([0.0, 255.0], "x / 255"),
        ([0.0, 1.2], "clamp"),
    ],
)
def test_to_uint8_rejects_nonsense(values, says):
    with pytest.raises(ValueError, match=says):
        data.to_uint8(torch.tensor(values))


def test_to_uint8_rejects_other_integers():
    with pytest.raises(ValueError, match="torch.int64"):
        data.to_uint8(torch.tensor([0, 255]))


# ---------------------------------------------------------------- faults of files


@pytest.fixture
def copy(tmp_path):
    """A data folder with its own copy of MNIST."""
    (tmp_path / "mnist").mkdir()
    for name in image_sets.MNIST_FILES:
        (tmp_path / "mnist" / name).write_bytes((MNIST / name).read_bytes())
    return tmp_path


def test_another_root_gives_the_same_images(copy):
    assert torch.equal(data.mnist(root=copy).test.x, data.mnist().test.x)
    assert data.mnist(root=str(copy)) is data.mnist(root=copy)


def test_missing_file(copy):
    (copy / "mnist" / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(
        data.DataError, match=r"t10k-labels-idx1-ubyte.gz is missing\. .*git checkout -- data/mnist"
    ):
        data.mnist(root=copy)


@pytest.mark.fault(
    fault="A data file cut short",
    sees="“The data file …/train-images-idx3-ubyte.gz is truncated: N of 9,719,438 bytes. Bring it back with "
    "`git checkout -- data/mnist`, or download the course again.”",
    kept="nothing is read from it; once it is back the same cell works",
)
def test_truncated_file(copy):
    path = copy / "mnist" / "train-labels-idx1-ubyte.gz"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(data.DataError, match=r"is truncated: 1,000 of 28,857 bytes\. .*git checkout"):
        data.mnist(root=copy)


@pytest.mark.fault(
    fault="A data file with flipped bytes",
    sees="“The data file … is damaged: its checksum is not …”, with the same remedy",
    kept="nothing is read from it",
)
def test_corrupt_file(copy):
    path = copy / "mnist" / "t10k-images-idx3-ubyte.gz"
    content = bytearray(path.read_bytes())
    content[5000] ^= 1
    path.write_bytes(content)
    with pytest.raises(
        data.DataError, match=r"t10k-images-idx3-ubyte.gz is damaged: its checksum.*git checkout"
    ):
        data.mnist(root=copy)
    assert path.read_bytes() == content, "a damaged file is reported, not touched"


def test_unreadable_file(copy):
    path = copy / "mnist" / "t10k-images-idx3-ubyte.gz"
    path.unlink()
    path.mkdir()
    with pytest.raises(data.DataError, match="cannot be read"):
        data.mnist(root=copy)


def test_a_failure_is_not_remembered(copy):
    path = copy / "mnist" / "t10k-labels-idx1-ubyte.gz"
    content = path.read_bytes()
    path.unlink()
    with pytest.raises(data.DataError):
        data.mnist(root=copy)
    path.write_bytes(content)
    assert len(data.mnist(root=copy).test) == 10_000


@pytest.mark.parametrize(
    "name, says",
    [
        ("fasion", "did you mean 'fashion'"),
        ("Digits", "did you mean 'digits'"),
        ("letters", "'digits' and 'fashion'"),
        (None, "'digits' and 'fashion'"),
    ],
)
def test_wrong_name(name, says):
    with pytest.raises(ValueError, match=says):
        data.mnist(name)


def idx(shape, fill=None):
    """A gzip-compressed IDX file of uint8."""
    size = torch.Size(shape).numel()
    body = bytes(size) if fill is None else bytes(i % fill for i in range(size))
    return gzip.compress(struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape) + body, 1, mtime=0)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not gzip",
        idx((5, 2, 2))[:-9],
        gzip.compress(b"\x00\x00", mtime=0),
        gzip.compress(struct.pack(">HBBI", 0, 8, 1, 5) + b"1234", mtime=0),
        gzip.compress(struct.pack(">HBBI", 0, 8, 1, 5) + b"123456", mtime=0),
        gzip.compress(struct.pack(">HBBI", 0, 9, 1, 4) + b"1234", mtime=0),
        gzip.compress(struct.pack(">HBBI", 0, 8, 1, 0), mtime=0),
    ],
)
def test_parse_idx_refuses_what_is_none(content):
    with pytest.raises(data.DataError, match="some file is no"):
        files.parse_idx(content, "some file")


def test_parse_idx_reads_row_major():
    assert torch.equal(files.parse_idx(idx((2, 3), 100), "f"), torch.arange(6, dtype=torch.uint8).view(2, 3))


# ---------------------------------------------------------------- downloads, with a stand-in for the network


class Web:
    """Serves bytes by file name in place of urllib; `fail` decides what happens to a request."""

    def __init__(self, files, fail=None):
        self.files, self.fail, self.asked = files, fail, []

    def __call__(self, request, *args, **kwargs):
        url = getattr(request, "full_url", request)
        name = url.rsplit("/", 1)[1]
        self.asked.append(name)
        response = io.BytesIO(self.files[name])
        response.url, response.length = url, len(self.files[name])
        if self.fail:
            self.fail(name, response)
        return response


FASHION = {
    "train-images-idx3-ubyte.gz": idx((60_000, 28, 28)),
    "train-labels-idx1-ubyte.gz": idx((60_000,), 10),
    "t10k-images-idx3-ubyte.gz": idx((10_000, 28, 28)),
    "t10k-labels-idx1-ubyte.gz": idx((10_000,), 10),
}


@pytest.fixture
def serve(monkeypatch):
    """Put a Web in place of the network; Fashion-MNIST's checksums become those of the stand-ins."""
    from torchvision.datasets import FashionMNIST

    def start(files, fail=None):
        web = Web(files, fail)
        monkeypatch.setattr("urllib.request.urlopen", web)
        sums = [(name, md5(content)) for name, content in files.items()]
        monkeypatch.setattr(FashionMNIST, "resources", sums)
        return web

    return start


def everything_under(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*"))


def test_fashion_is_downloaded_once_and_split_alike(serve, tmp_path):
    web = serve(FASHION)
    images = data.mnist("fashion", root=tmp_path)
    assert [len(s) for s in (images.train, images.val, images.test)] == [55_000, 5_000, 10_000]
    assert images.train.x.shape == (55_000, 1, 28, 28) and images.val.y[:3].tolist() == [0, 1, 2]
    assert images.name == "fashion" and images.classes[9] == "ankle boot"
    assert everything_under(tmp_path) == ["fashion", *(f"fashion/{name}" for name in sorted(FASHION))]
    asked = len(web.asked)
    image_sets._mnist.cache_clear()
    data.mnist("fashion", root=tmp_path)
    assert len(web.asked) == asked, "the second load asked the network again"


def test_fashion_fetches_only_what_is_missing(serve, tmp_path):
    web = serve(FASHION)
    (tmp_path / "fashion").mkdir()
    for name in sorted(FASHION)[1:]:
        (tmp_path / "fashion" / name).write_bytes(FASHION[name])
    data.mnist("fashion", root=tmp_path)
    assert set(web.asked) == {sorted(FASHION)[0]}


def no_network(name, response):
    raise urllib.error.URLError("Name or service not known")


def drops_midway(name, response):
    if name.startswith("t10k-images"):
        response.seek(len(response.getvalue()) // 2)  # two files arrived, half of the third


def resets_midway(name, response):
    def read(size=-1, left=[3]):  # noqa: B006 (counts the reads of this response)
        left[0] -= 1
        if left[0] < 0:
            raise ConnectionResetError(104, "Connection reset by peer")
        return b"x" * 100

    if name.startswith("t10k-images"):
        response.read = read


def stalls(name, response):
    raise TimeoutError("timed out")


def not_found(name, response):
    raise urllib.error.HTTPError(response.url, 404, "Not Found", None, None)


@pytest.mark.fault(
    fault="The network fails while a data set is fetched (no network, cut midway, reset, stalled, not found)",
    sees="the host, the file and what to do: “… Nothing was kept. Check that this machine is online and "
    "call it again …”",
    kept="no half file; MNIST needs no network",
)
@pytest.mark.parametrize("fail", [no_network, drops_midway, resets_midway, stalls, not_found])
def test_a_failing_network_names_host_file_and_remedy_and_leaves_nothing(serve, tmp_path, fail):
    serve(FASHION, fail)
    midway = fail in (drops_midway, resets_midway)
    with pytest.raises(data.DataError) as caught:
        data.mnist("fashion", root=tmp_path)
    text = str(caught.value)
    assert ("t10k-images-idx3-ubyte.gz" if midway else "train-images-idx3-ubyte.gz") in text
    assert "fashion-mnist.s3-website" in text and "online" in text and str(tmp_path / "fashion") in text
    assert caught.value.__suppress_context__, "one clear error, not a chain of them"
    assert everything_under(tmp_path) == []


def test_an_interrupted_download_leaves_nothing(serve, tmp_path):
    def interrupt(name, response):
        if name.startswith("t10k"):
            raise KeyboardInterrupt

    serve(FASHION, interrupt)
    with pytest.raises(KeyboardInterrupt):
        data.mnist("fashion", root=tmp_path)
    assert everything_under(tmp_path) == []


@pytest.mark.fault(
    fault="The disk is full while a data set is fetched",
    sees="“Cannot write to … Make it writable, free some disk space, or say where else the data may go …”",
    kept="no half file",
)
def test_a_full_disk_is_not_blamed_on_the_network(serve, tmp_path):
    def full(name, response):
        raise OSError(28, "No space left on device")

    serve(FASHION, full)
    with pytest.raises(data.DataError, match=r"Cannot write to .*fashion \(No space left on device\)"):
        data.mnist("fashion", root=tmp_path)
    assert everything_under(tmp_path) == []


def test_a_read_only_folder(serve, tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    serve(FASHION)
    monkeypatch.setattr(files.tempfile, "mkdtemp", refuse)
    with pytest.raises(
        data.DataError, match=r"Cannot write to .*fashion \(Permission denied\).*root='some/folder'"
    ):
        data.mnist("fashion", root=tmp_path)
    assert everything_under(tmp_path) == []


def test_a_file_where_the_folder_should_be(serve, tmp_path):
    serve(FASHION)
    (tmp_path / "here").write_text("I am a file")
    with pytest.raises(data.DataError, match="Cannot write to"):
        data.mnist("fashion", root=tmp_path / "here")
    assert (tmp_path / "here").read_text() == "I am a file"


def test_a_damaged_download_says_delete_it(serve, tmp_path):
    serve(FASHION)
    data.mnist("fashion", root=tmp_path)
    image_sets._mnist.cache_clear()
    path = tmp_path / "fashion" / "t10k-labels-idx1-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(data.DataError, match=r"t10k-labels-idx1-ubyte.gz is damaged.*Delete it and run"):
        data.mnist("fashion", root=tmp_path)


def test_fashion_of_another_shape_is_refused(serve, tmp_path):
    serve({**FASHION, "t10k-labels-idx1-ubyte.gz": idx((9_999,), 10)})
    with pytest.raises(data.DataError, match=r"shape \(9999,\), not \(10000,\)"):
        data.mnist("fashion", root=tmp_path)


def test_old_remains_of_a_killed_download_are_removed(serve, tmp_path, monkeypatch):
    serve(FASHION)
    (tmp_path / ".download-old").mkdir()
    monkeypatch.setattr(files, "STALE_S", -1.0)
    data.mnist("fashion", root=tmp_path)
    assert not (tmp_path / ".download-old").exists()


def test_downloads_are_ignored_by_git():
    wanted = ["data/fashion/x.gz", "data/.download-abc/x"]
    done = subprocess.run(["git", "check-ignore", *wanted], cwd=folders.ROOT, capture_output=True, text=True)
    if done.returncode == 128:
        pytest.skip("not a git checkout")
    assert done.stdout.split() == wanted
