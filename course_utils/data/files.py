"""Files of data sets: verified on reading, never half-written.

`read_verified` returns the bytes of a file after comparing its checksum, `parse_idx` turns the format of
MNIST into a tensor, and `download` fetches files with torchvision's downloader into a temporary folder and
moves each one to its place only when it is complete and its checksum is right. Whatever goes wrong on the
disk or on the way there is one `DataError` whose text says what to do. Nothing is unpickled.
"""

import contextlib
import errno
import hashlib
import http.client
import math
import os
import shutil
import socket
import struct
import tempfile
import time
import urllib.parse
import zlib
from collections.abc import Mapping
from pathlib import Path

import torch

from course_utils.system import disk

TIMEOUT_S = 30.0  # a server that is silent for so long counts as unreachable
STALE_S = 86_400.0  # a download folder untouched for a day was left by a killed process
DISK_ERRORS = {
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EROFS,
    errno.EACCES,
    errno.EIO,
}  # the disk failed, not the network


class DataError(RuntimeError):
    """A data file is missing, damaged, unreachable or cannot be written; the text says what to do."""


def read_verified(path: Path, digest: str, remedy: str, size: int | None = None) -> bytes:
    """Return the bytes of `path` if they have the checksum `digest` (hexadecimal, MD5 or SHA-256 by its
    length).

    `remedy` is the sentence that ends every error; `size` in bytes, where known, lets the error tell a
    truncated file. Raises DataError if the file is missing, cannot be read or differs.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"The data file {path} is missing. {remedy}") from None
    except OSError as error:
        raise DataError(f"The data file {path} cannot be read ({error.strerror}). {remedy}") from None
    hasher = hashlib.sha256 if len(digest) == 64 else hashlib.md5
    if hasher(content, usedforsecurity=False).hexdigest() == digest:
        return content
    if size is not None and len(content) < size:
        problem = f"is truncated: {len(content):,} of {size:,} bytes"
    else:
        problem = f"is damaged: its checksum is not {digest[:12]}…"
    raise DataError(f"The data file {path} {problem}. {remedy}")


def parse_idx(packed: bytes, what: str) -> torch.Tensor:
    """Return the uint8 tensor in a gzip-compressed IDX file (the format of MNIST,
    http://yann.lecun.com/exdb/mnist).

    The header is two zero bytes, the type (8: uint8), the number of axes, and one big-endian uint32 per axis.
    Raises DataError, naming `what`, if the bytes are no such file or hold too few or too many values.
    """
    try:
        raw = bytearray(zlib.decompress(packed, wbits=31, bufsize=1 << 24))
        zeros, kind, axes = struct.unpack_from(">HBB", raw)
        shape = struct.unpack_from(f">{axes}I", raw, 4)
    except (zlib.error, struct.error) as error:
        raise DataError(f"{what} is no gzip-compressed IDX file ({error}).") from None
    start = 4 + 4 * axes
    if zeros != 0 or kind != 8 or axes == 0 or 0 in shape or len(raw) - start != math.prod(shape):
        raise DataError(f"{what} is no IDX file of uint8: its header does not fit its {len(raw):,} bytes.")
    return torch.frombuffer(raw, dtype=torch.uint8, offset=start).view(shape)


def write_atomically(path: Path, text: str) -> None:
    """Write `text` to `path` so that a reader finds the old or the new file, never half of one.

    Raises DataError if the folder cannot be made or written; nothing is left behind then.
    """
    try:
        with disk.atomic(path) as scratch:
            scratch.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise DataError(
            f"Cannot write {path} ({error.strerror}). Make its folder writable or free some disk space, then"
            " run the cell again."
        ) from None


def download(base_url: str, files: Mapping[str, str], folder: Path, title: str) -> None:
    """Fetch each file name of `files` (name → MD5) that `folder` lacks from `base_url` + name, with
    torchvision.

    Files are fetched into a temporary folder beside `folder` and moved when complete; it is removed in every
    case. Raises DataError if the folder cannot be written, or naming the host and the file if the network
    fails.
    """
    missing = {name: digest for name, digest in files.items() if not (folder / name).exists()}
    if not missing:
        return
    scratch = _scratch_folder(folder)
    try:
        for name, digest in missing.items():
            _fetch(base_url + name, digest, scratch, folder, title)
        folder.mkdir(exist_ok=True)
        for name in missing:
            os.replace(scratch / name, folder / name)
    except OSError as error:
        raise DataError(_cannot_write(folder, error)) from None
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _fetch(url: str, digest: str, scratch: Path, folder: Path, title: str) -> None:
    """Download one file into `scratch`; DataError if the host fails, OSError if the disk does."""
    from torchvision.datasets.utils import download_url

    host, name = urllib.parse.urlsplit(url).netloc, url.rsplit("/", 1)[1]
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT_S)
    try:
        download_url(url, scratch, filename=name, md5=digest)
    except (OSError, RuntimeError, http.client.HTTPException) as error:
        if getattr(error, "errno", None) in DISK_ERRORS:
            raise
        reason = "it arrived incomplete or damaged" if isinstance(error, RuntimeError) else error
        raise DataError(
            f"{title} could not be downloaded: {name} from {host} failed ({reason}). Nothing was kept. Check"
            f" that this machine is online and call it again, or put the file into {folder} yourself. MNIST"
            " needs no network: cu.mnist()."
        ) from None
    finally:
        socket.setdefaulttimeout(before)


def _scratch_folder(folder: Path) -> Path:
    """A fresh temporary folder beside `folder`, on the same disk so that a move is atomic; old ones are
    removed."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        for old in folder.parent.glob(".download-*"):
            with contextlib.suppress(FileNotFoundError):
                if time.time() - old.stat().st_mtime > STALE_S:
                    shutil.rmtree(old, ignore_errors=True)
        return Path(tempfile.mkdtemp(dir=folder.parent, prefix=".download-"))
    except OSError as error:
        raise DataError(_cannot_write(folder, error)) from None


def _cannot_write(folder: Path, error: OSError) -> str:
    return (
        f"Cannot write to {folder} ({error.strerror or error}). Make it writable, free some disk space, or"
        " say where else the data may go: root='some/folder'."
    )
