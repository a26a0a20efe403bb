from __future__ import annotations

import errno
import gzip
import io
import os
import stat
import struct
import tarfile
import zipfile
from typing import TYPE_CHECKING

import pytest

from birdcli.errors import ErrorCode, ModelError
from birdcli.models.archive import ArchiveLimits, find_model_root, unpack_archive

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_mock import MockerFixture

MODEL = {
    "saved_model.pb": b"graph" * 300,
    "variables/variables.index": b"index",
    "variables/variables.data-00000-of-00001": bytes(range(256)) * 40,
}
SMALL = ArchiveLimits(max_members=10, max_bytes=200_000, max_ratio=20, ratio_from_bytes=50_000)


def _regular(name: str, size: int = 0) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size = size
    return info


def _of_type(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = target
    return info


def make_tar(*members: tuple[tarfile.TarInfo, bytes], fmt: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=fmt) as tar:
        for info, data in members:
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def tar_of(files: dict[str, bytes], fmt: int = tarfile.PAX_FORMAT) -> bytes:
    return make_tar(*((_regular(name, len(data)), data) for name, data in files.items()), fmt=fmt)


def zip_of(files: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def tree_of(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def into(tmp_path: Path) -> Path:
    folder = tmp_path / "into"
    folder.mkdir()
    return folder


@pytest.fixture
def unpack(tmp_path: Path, into: Path) -> Callable[..., None]:
    def run(data: bytes, limits: ArchiveLimits | None = None) -> None:
        archive = tmp_path / "download"
        archive.write_bytes(data)
        unpack_archive(archive, into, limits)

    return run


@pytest.fixture
def refuse(unpack: Callable[..., None], into: Path, tmp_path: Path) -> Callable[..., ModelError]:
    """Unpacks, and expects an error that leaves nothing behind, inside or outside the folder."""

    def run(
        data: bytes,
        limits: ArchiveLimits | None = None,
        code: ErrorCode = ErrorCode.MODEL_ARCHIVE_UNSAFE,
    ) -> ModelError:
        with pytest.raises(ModelError) as caught:
            unpack(data, limits)
        assert caught.value.code == code
        assert list(into.iterdir()) == []
        assert {path.name for path in tmp_path.iterdir()} == {"into", "download"}
        return caught.value

    return run


@pytest.mark.parametrize(
    "data",
    [
        gzip.compress(tar_of(MODEL)),
        gzip.compress(tar_of(MODEL, tarfile.GNU_FORMAT)),
        gzip.compress(tar_of(MODEL, tarfile.USTAR_FORMAT)),
        tar_of(MODEL),
        zip_of(MODEL),
        zip_of(MODEL, zipfile.ZIP_STORED),
        gzip.compress(tar_of({f"./{name}": data for name, data in MODEL.items()})),
    ],
    ids=["tar.gz", "gnu", "ustar", "tar", "zip", "stored zip", "dot names"],
)
def test_every_kind_of_archive_is_known_by_its_content(
    data: bytes, unpack: Callable[..., None], into: Path
) -> None:
    unpack(data)
    assert tree_of(into) == MODEL


def test_the_folder_is_made_if_there_is_none(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(tar_of(MODEL))
    unpack_archive(tmp_path / "a", tmp_path / "new")
    assert tree_of(tmp_path / "new") == MODEL


def test_long_names_and_sizes_in_extended_headers_are_understood(
    unpack: Callable[..., None], into: Path
) -> None:
    files = {f"{'d' * 120}/{'e' * 120}": b"x" * 512, "z": b"after"}
    unpack(tar_of(files))
    assert tree_of(into) == files


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_folders_are_made_even_if_empty(kind: str, unpack: Callable[..., None], into: Path) -> None:
    if kind == "tar":
        unpack(
            make_tar(
                (_of_type("./", tarfile.DIRTYPE), b""),
                (_of_type("assets", tarfile.DIRTYPE), b""),
                (_regular("a", 1), b"a"),
            )
        )
    else:
        unpack(zip_of({"assets/": b"", "a": b"a"}))
    assert (into / "assets").is_dir()


@pytest.mark.parametrize("kind", ["tar", "zip"])
@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_modes_times_and_owners_of_the_archive_are_ignored(
    kind: str, umask: int, unpack: Callable[..., None], into: Path, request: pytest.FixtureRequest
) -> None:
    before = os.umask(umask)
    request.addfinalizer(lambda: os.umask(before))
    if kind == "tar":
        folder = _of_type("d", tarfile.DIRTYPE)
        folder.mode = 0o7000
        file = _regular("d/x", 1)
        file.mode = 0o6777
        file.uid = file.gid = 12345
        file.mtime = 1
        unpack(make_tar((folder, b""), (file, b"x")))
    else:
        info = zipfile.ZipInfo("d/x", (1980, 1, 1, 0, 0, 0))
        info.external_attr = (stat.S_IFREG | 0o6777) << 16
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            archive.writestr(info, b"x")
        unpack(out.getvalue())
    found = (into / "d" / "x").stat()
    assert stat.S_IMODE(found.st_mode) == 0o644
    assert found.st_uid == os.getuid()
    assert found.st_mtime > 1e9
    assert stat.S_IMODE((into / "d").stat().st_mode) == 0o755


@pytest.mark.parametrize(
    "kind",
    [
        tarfile.SYMTYPE,
        tarfile.LNKTYPE,
        tarfile.CHRTYPE,
        tarfile.BLKTYPE,
        tarfile.FIFOTYPE,
        tarfile.CONTTYPE,
        tarfile.GNUTYPE_SPARSE,
        b"Z",
    ],
)
def test_a_tar_member_that_is_no_file_or_folder_is_refused(
    kind: bytes, refuse: Callable[..., ModelError]
) -> None:
    data = make_tar((_regular("first", 3), b"abc"), (_of_type("odd", kind, "first"), b""))
    error = refuse(gzip.compress(data))
    assert dict(error.details)["member"] == "odd"


def test_a_link_that_only_looks_harmless_is_refused(refuse: Callable[..., ModelError]) -> None:
    refuse(make_tar((_of_type("variables", tarfile.SYMTYPE, "assets"), b"")))


def test_a_sparse_file_of_the_newer_kind_is_refused(refuse: Callable[..., ModelError]) -> None:
    info = _regular("bomb", 512)
    info.pax_headers = {
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.name": "bomb",
        "GNU.sparse.realsize": "1000000000000",
    }
    refuse(make_tar((info, b"1\n0\n1\n".ljust(512, b"\0"))))


@pytest.mark.parametrize("name", ["/abs", "../up", "a/../../up", "C:\\x", "a\\..\\x"])
@pytest.mark.parametrize("make", [tar_of, zip_of])
def test_names_that_lead_out_are_refused(
    name: str, make: Callable[[dict[str, bytes]], bytes], refuse: Callable[..., ModelError]
) -> None:
    refuse(make({"ok": b"1", name: b"2"}))


@pytest.mark.parametrize("make", [tar_of, zip_of])
def test_names_that_differ_in_case_only_are_refused(
    make: Callable[[dict[str, bytes]], bytes], refuse: Callable[..., ModelError]
) -> None:
    refuse(make({"Saved_model.pb": b"1", "saved_model.pb": b"2"}))


def test_a_tar_member_that_is_there_twice_is_refused(refuse: Callable[..., ModelError]) -> None:
    refuse(make_tar((_regular("a", 1), b"1"), (_regular("a", 1), b"2")))


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")  # making one, not reading it
def test_a_zip_member_that_is_there_twice_is_refused(refuse: Callable[..., ModelError]) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a", b"1")
        archive.writestr("a", b"2")
    refuse(out.getvalue())


@pytest.mark.parametrize("make", [tar_of, zip_of])
def test_too_many_members_are_refused(
    make: Callable[[dict[str, bytes]], bytes], refuse: Callable[..., ModelError]
) -> None:
    refuse(make({str(number): b"x" for number in range(11)}), SMALL)


@pytest.mark.parametrize("make", [tar_of, zip_of])
def test_too_many_bytes_are_refused(
    make: Callable[[dict[str, bytes]], bytes], refuse: Callable[..., ModelError]
) -> None:
    error = refuse(make({"a": os.urandom(150_000), "b": os.urandom(60_000)}), SMALL)
    assert dict(error.details)["member"] == "b"


@pytest.mark.parametrize("make", [lambda files: gzip.compress(tar_of(files)), zip_of])
def test_a_bomb_is_refused_by_its_ratio(
    make: Callable[[dict[str, bytes]], bytes], refuse: Callable[..., ModelError]
) -> None:
    error = refuse(make({"bomb": bytes(190_000)}), SMALL)
    assert "bomb" in error.message


def test_small_files_may_compress_as_well_as_they_can(
    unpack: Callable[..., None], into: Path
) -> None:
    unpack(gzip.compress(tar_of({"a": bytes(30_000)})), SMALL)
    assert tree_of(into) == {"a": bytes(30_000)}


def test_bytes_hidden_after_the_end_of_a_tar_count(refuse: Callable[..., ModelError]) -> None:
    refuse(gzip.compress(tar_of(MODEL) + bytes(190_000)), SMALL)


def test_an_extended_header_does_not_fill_the_memory(refuse: Callable[..., ModelError]) -> None:
    header = _of_type("pax", tarfile.XHDTYPE)
    header.size = 5_000_000
    data = tar_of({"a": b"1"})[:-10240] + header.tobuf(tarfile.USTAR_FORMAT) + bytes(5_000_192)
    refuse(gzip.compress(data))


def _with_size_field(data: bytes, size: bytes) -> bytes:
    """Returns a tar whose first header has another size, and a checksum that fits."""
    header = bytearray(data[:512])
    header[124:136] = size
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + data[512:]


def test_a_negative_size_is_refused(refuse: Callable[..., ModelError]) -> None:
    negative = b"\xff" + (-512).to_bytes(11, "big", signed=True)
    refuse(_with_size_field(tar_of({"a": b"1"}), negative))


def test_a_negative_size_of_an_extended_header_is_refused(
    refuse: Callable[..., ModelError],
) -> None:
    header = _of_type("pax", tarfile.XHDTYPE).tobuf(tarfile.USTAR_FORMAT)
    negative = b"\xff" + (-512).to_bytes(11, "big", signed=True)
    refuse(_with_size_field(header + tar_of({"a": b"1"}), negative))


def test_a_negative_size_that_leads_backwards_is_refused(
    refuse: Callable[..., ModelError],
) -> None:
    unknown = _of_type("a", b"Z").tobuf(tarfile.USTAR_FORMAT)
    negative = b"\xff" + (-1024).to_bytes(11, "big", signed=True)
    refuse(_with_size_field(unknown + tar_of({"b": b"1"}), negative))


BROKEN = {
    "nothing": b"",
    "text": b"<html>Sign in</html>",
    "picture": b"\xff\xd8\xff\xe0" + bytes(600),
    "gzip of text": gzip.compress(b"hello" * 300),
    "gzip cut": gzip.compress(tar_of(MODEL))[:-600],
    "gzip without checksum": gzip.compress(tar_of(MODEL))[:-8],
    "gzip with wrong checksum": gzip.compress(tar_of(MODEL))[:-8] + bytes(8),
    "gzip flipped": gzip.compress(tar_of(MODEL))[:40] + b"\xff\xff" + gzip.compress(b"")[42:],
    "tar cut in a header": tar_of(MODEL)[:2148],
    "tar cut in a file": tar_of(MODEL)[:1000],
    "tar cut in padding": tar_of({"a": b"1"})[:600],
    "tar cut between members": tar_of({"a": b"1"})[:1024],
    "tar cut after a file": gzip.compress(tar_of({"a": b"1" * 512, "b": b""})[:1024]),
    "tar with a bad header": tar_of({"a": b"1" * 512}) [:1024] + b"garbage!" * 64 + bytes(1024),
    "tar without files": make_tar((_of_type("d", tarfile.DIRTYPE), b"")),
    "zip without files": zip_of({}),
    "zip of a folder": zip_of({"d/": b""}),
    "zip cut": zip_of(MODEL)[:-30],
    "zip compressed unusually": zip_of(MODEL, zipfile.ZIP_LZMA),
}  # fmt: skip


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN.keys())
def test_broken_archives_are_unreadable(data: bytes, refuse: Callable[..., ModelError]) -> None:
    refuse(data, code=ErrorCode.MODEL_SOURCE_UNREADABLE)


def test_an_archive_cut_anywhere_is_never_taken_for_a_whole_one(
    refuse: Callable[..., ModelError],
) -> None:
    whole = gzip.compress(tar_of({"a": b"1", "b": b"2"}))
    for end in range(len(whole)):
        refuse(whole[:end], code=ErrorCode.MODEL_SOURCE_UNREADABLE)


def test_a_missing_archive_is_unreadable(tmp_path: Path, into: Path) -> None:
    with pytest.raises(ModelError) as caught:
        unpack_archive(tmp_path / "none", into)
    assert caught.value.code == ErrorCode.MODEL_SOURCE_UNREADABLE


def test_a_zip_with_a_wrong_checksum_is_unreadable(refuse: Callable[..., ModelError]) -> None:
    data = zip_of({"a": b"payload"}, zipfile.ZIP_STORED)
    refuse(data.replace(b"payload", b"pAyload"), code=ErrorCode.MODEL_SOURCE_UNREADABLE)


LOCAL_FLAGS, LOCAL_METHOD, LOCAL_CRC, LOCAL_SIZE = 6, 8, 14, 22


@pytest.mark.parametrize(
    ("at", "value"),
    [
        (0, b"PK\x03\x05"),
        (LOCAL_FLAGS, b"\x02\x00"),
        (LOCAL_METHOD, b"\x08\x00"),
        (LOCAL_CRC, b"\x01\x02\x03\x04"),
        (LOCAL_SIZE, b"\x01\x00\x00\x00"),
        (LOCAL_SIZE, b"\xff\xff\xff\xff"),
        (30, b"X"),
    ],
    ids=["signature", "flags", "method", "crc", "size", "size elsewhere", "name"],
)
def test_a_zip_whose_headers_differ_is_refused(
    at: int, value: bytes, refuse: Callable[..., ModelError]
) -> None:
    data = zip_of({"first": b"1", "name": b"12345"}, zipfile.ZIP_STORED)
    start = data.index(b"PK\x03\x04", 4) + at
    error = refuse(data[:start] + value + data[start + len(value) :])
    assert dict(error.details)["member"] == "name"


def test_a_zip_with_long_sizes_in_its_local_headers_is_read(
    unpack: Callable[..., None], into: Path
) -> None:
    out = io.BytesIO()
    with (
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("a", "w", force_zip64=True) as member,
    ):
        member.write(b"x" * 1000)
    unpack(out.getvalue())
    assert tree_of(into) == {"a": b"x" * 1000}


def test_other_extra_fields_do_not_hide_long_sizes(unpack: Callable[..., None], into: Path) -> None:
    info = zipfile.ZipInfo("a")
    info.extra = struct.pack("<2H4s", 0x5455, 4, b"time")
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive, archive.open(info, "w", force_zip64=True) as member:
        member.write(b"x")
    unpack(out.getvalue())
    assert tree_of(into) == {"a": b"x"}


def test_a_zip_written_as_a_stream_is_read(unpack: Callable[..., None], into: Path) -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def seek(self, *_: object) -> int:
            raise io.UnsupportedOperation

        def tell(self) -> int:
            raise io.UnsupportedOperation

    out = Pipe()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", b"x" * 1000)
    assert out.getvalue()[LOCAL_FLAGS] & 0x8
    unpack(out.getvalue())
    assert tree_of(into) == {"a": b"x" * 1000}


def _with_central(data: bytes, at: int, value: bytes, number: int = 0) -> bytes:
    start = -1
    for _ in range(number + 1):
        start = data.index(b"PK\x01\x02", start + 1)
    start += at
    return data[:start] + value + data[start + len(value) :]


@pytest.mark.parametrize("flag", [0x1, 0x40, 0x2000])
def test_an_encrypted_zip_is_refused(flag: int, refuse: Callable[..., ModelError]) -> None:
    data = zip_of({"secret": b"1"})
    flags = struct.pack("<H", flag)
    data = data[:LOCAL_FLAGS] + flags + data[LOCAL_FLAGS + 2 :]
    error = refuse(_with_central(data, 8, flags))
    assert "encrypted" in error.message


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        ("link", stat.S_IFLNK),
        ("fifo", stat.S_IFIFO),
        ("device", stat.S_IFCHR),
        ("folder", stat.S_IFDIR),
        ("file/", stat.S_IFREG),
    ],
)
def test_a_zip_member_that_is_no_file_or_folder_is_refused(
    name: str, mode: int, refuse: Callable[..., ModelError]
) -> None:
    info = zipfile.ZipInfo(name)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(info, b"" if name.endswith("/") else b"/etc/passwd")
    data = _with_central(out.getvalue(), 38, struct.pack("<I", (mode | 0o777) << 16))
    error = refuse(data)
    assert dict(error.details)["member"] == name


def test_a_zip_folder_with_content_is_refused(refuse: Callable[..., ModelError]) -> None:
    data = zip_of({"xx": b"content"}, zipfile.ZIP_STORED).replace(b"xx", b"x/")
    refuse(data)


def test_a_zip_name_with_a_nul_is_refused(refuse: Callable[..., ModelError]) -> None:
    refuse(zip_of({"a.pbXexe": b"1"}).replace(b"a.pbXexe", b"a.pb\0exe"))


def test_a_zip_whose_members_share_bytes_is_refused(refuse: Callable[..., ModelError]) -> None:
    # The densest bombs quote one block of data under many names; here "b" lies within "a".
    inner = zip_of({"b": b"2"}, zipfile.ZIP_STORED)
    inner = inner[: inner.index(b"PK\x01\x02")]
    data = zip_of({"a": inner, "b": b"2"}, zipfile.ZIP_STORED)
    error = refuse(_with_central(data, 42, struct.pack("<I", data.index(inner)), number=1))
    assert "overlaps" in error.message


def test_a_zip_member_that_reaches_into_the_contents_is_refused(
    refuse: Callable[..., ModelError],
) -> None:
    data = zip_of({"a": b"12345"}, zipfile.ZIP_STORED)
    sizes = struct.pack("<2I", 50, 50)
    data = data[: LOCAL_SIZE - 4] + sizes + data[LOCAL_SIZE + 4 :]
    error = refuse(_with_central(data, 20, sizes))
    assert "table of contents" in error.message


def test_a_huge_table_of_contents_is_not_read_into_memory(
    refuse: Callable[..., ModelError],
) -> None:
    entry = b"PK\x01\x02" + bytes(42)
    count = 100_000
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 0, 0, count * len(entry), 4, 0)
    error = refuse(b"PK\x03\x04" + entry * count + end)
    assert "table of contents" in error.message


@pytest.mark.parametrize("make", [tar_of, zip_of])
def test_a_full_disk_is_told_and_leaves_nothing(
    make: Callable[[dict[str, bytes]], bytes],
    refuse: Callable[..., ModelError],
    mocker: MockerFixture,
) -> None:
    mocker.patch("os.fsync", side_effect=[None, OSError(errno.ENOSPC, "No space left on device")])
    error = refuse(make(MODEL), code=ErrorCode.MODEL_UNWRITABLE)
    assert "No space left" in error.message


def test_an_interrupt_leaves_nothing(
    unpack: Callable[..., None], into: Path, mocker: MockerFixture
) -> None:
    mocker.patch("os.fsync", side_effect=[None, KeyboardInterrupt])
    with pytest.raises(KeyboardInterrupt):
        unpack(tar_of(MODEL))
    assert list(into.iterdir()) == []


def test_a_folder_with_content_is_left_alone(unpack: Callable[..., None], into: Path) -> None:
    (into / "mine").write_text("x")
    with pytest.raises(ModelError) as caught:
        unpack(tar_of(MODEL))
    assert caught.value.code == ErrorCode.MODEL_UNWRITABLE
    assert tree_of(into) == {"mine": b"x"}


def test_a_wrapped_model_is_found(tmp_path: Path) -> None:
    (tmp_path / "birds_v1").mkdir()
    (tmp_path / "birds_v1" / "saved_model.pb").touch()
    assert find_model_root(tmp_path) == tmp_path / "birds_v1"


@pytest.mark.parametrize(
    "names", [["saved_model.pb"], ["a/saved_model.pb", "b"], ["a/other.pb"], ["a/b/saved_model.pb"]]
)
def test_any_other_layout_stays_as_it_is(names: list[str], tmp_path: Path) -> None:
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert find_model_root(tmp_path) == tmp_path


@pytest.mark.data
def test_the_real_module_unpacks(test_data: Path, into: Path) -> None:
    unpack_archive(test_data / "models" / "aiy-birds-v1" / "aiy_birds_V1_1.tar.gz", into)
    assert find_model_root(into) == into
    assert (into / "variables" / "variables.data-00000-of-00001").stat().st_size == 13_772_852
