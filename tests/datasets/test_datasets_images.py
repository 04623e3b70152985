# SPDX-License-Identifier: MIT
"""Image files become data sets: decoding, keys, labels, files that are not images; and back."""

import io
import os

import numpy as np
import pytest
import recipes
from PIL import Image

import pylmdb
from pylmdb import datasets
from pylmdb.datasets import Dataset, ImageFile, Writer


def _png():
    out = io.BytesIO()
    Image.new("L", (2, 2)).save(out, "PNG")
    return out.getvalue()


PNG = _png()


@pytest.fixture
def root(tmp_path):
    return str(tmp_path / "images")


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "packed")


@pytest.fixture
def names(root):
    return recipes.make_images(root)


def items(root, names):
    return [ImageFile(f"{root}/{name}", name) for name in names]


def samples(path):
    with Dataset(path) as dataset:
        return dataset.keys(), list(dataset)


# -- decoding -------------------------------------------------------------------------


@pytest.mark.parametrize("axes", ["HWC", "CHW"])
@pytest.mark.parametrize("mode", [None, "RGB", "BGR", "L"])
def test_pixels(root, names, path, mode, axes):
    datasets.from_image_folder(root, path, decode=True, mode=mode, axes=axes)
    keys, found = samples(path)
    assert keys == [name.encode() for name in names]
    for name, array in zip(names, found, strict=True):
        image = Image.open(f"{root}/{name}")
        expected = np.array(image if mode is None else image.convert(mode.replace("BGR", "RGB")))
        if mode == "BGR":
            expected = expected[:, :, ::-1]
        if axes == "CHW":
            expected = expected[None] if expected.ndim == 2 else expected.transpose(2, 0, 1)
        assert array.dtype == np.uint8
        assert np.array_equal(array, expected)


def test_images_with_a_palette_are_decoded_to_colours(root, path):
    os.makedirs(root)
    image = Image.new("P", (3, 2))
    image.putpalette([10, 20, 30] * 256)
    image.save(f"{root}/palette.png")
    datasets.from_image_folder(root, path, decode=True)
    assert samples(path)[1][0].tolist() == [[[10, 20, 30]] * 3] * 2


def test_sixteen_bits_stay(root, path):
    os.makedirs(root)
    Image.fromarray(np.array([[1, 60000]], np.uint16)).save(f"{root}/deep.png")
    datasets.from_image_folder(root, path, decode=True)
    assert samples(path)[1][0].tolist() == [[1, 60000]]
    datasets.to_image_folder(path, f"{root}/out")
    assert np.array(Image.open(f"{root}/out/deep.png")).tolist() == [[1, 60000]]


@pytest.mark.parametrize(
    ("option", "shapes"),
    [
        ({"mode": "RGB"}, {(8, 10, 3), (9, 10, 3)}),
        ({"mode": "BGR"}, {(8, 10, 3), (9, 10, 3)}),
        ({"mode": "L"}, {(8, 10), (9, 10)}),
        ({"axes": "CHW"}, {(1, 8, 10), (3, 9, 10)}),
        ({"resize": (4, 6)}, {(4, 6), (4, 6, 3)}),
    ],
)
def test_one_option_is_enough_for_pixels(root, path, option, shapes):
    recipes.make_images(root, 2)  # the first one is gray
    datasets.from_image_folder(root, path, **option)
    assert {array.shape for array in samples(path)[1]} == shapes


def test_resizing(root, names, path):
    options = {"decode": True, "resize": (5, 7), "check_size": True, "mode": "RGB"}
    datasets.from_image_folder(root, path, **options)
    expected = Image.open(f"{root}/{names[1]}").convert("RGB").resize((7, 5))
    assert [array.shape for array in samples(path)[1]] == [(5, 7, 3)] * 6
    assert np.array_equal(samples(path)[1][1], np.array(expected))


@pytest.mark.parametrize("layout", ["folder2lmdb", "ocr", "basicsr"])
def test_layouts_of_files_get_png_files(root, names, path, layout):
    datasets.from_image_folder(root, path, layout=layout, decode=True, resize=(4, 6), mode="BGR")
    _, found = samples(path)
    for name, sample in zip(names, found, strict=True):
        content = sample[0] if isinstance(sample, tuple) else sample
        datasets.from_image_folder(root, path, exist="replace")
        expected = Image.open(f"{root}/{name}").convert("RGB").resize((6, 4))
        with open(f"{root}/again.png", "wb") as file:
            file.write(content)
        again = Image.open(f"{root}/again.png")
        assert again.format == "PNG"
        assert np.array_equal(np.array(again), np.array(expected))


@pytest.mark.parametrize("decode", [False, True])
def test_sizes_are_checked(root, names, path, decode):
    with pytest.raises(pylmdb.InvalidParameterError, match=r"002\.png.*size"):
        datasets.from_image_folder(root, path, check_size=True, decode=decode)
    done = datasets.from_image_folder(
        root, path, check_size=True, decode=decode, errors="skip", exist="replace"
    )
    assert done.samples == 1
    assert len(done.skipped) == 5


# -- keys, labels, order --------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (None, [b"cat/000.png", b"dog/001.jpg"]),
        ("stem", [b"cat/000", b"dog/001"]),
        ("number", [b"00000000", b"00000001"]),
        (lambda name: name[-7:-4], [b"000", b"001"]),
    ],
    ids=["name", "stem", "number", "function"],
)
def test_keys(root, path, keys, expected):
    recipes.make_images(root, 2)
    datasets.from_image_folder(root, path, keys=keys)
    assert samples(path)[0] == expected


def test_folders_come_in_the_order_of_keys(root, path):
    for name in ("a.png", "a-b.png", "a/x.png", "B.png", "ä.png"):
        os.makedirs(os.path.dirname(f"{root}/{name}"), exist_ok=True)
        Image.new("L", (2, 2)).save(f"{root}/{name}")
    for keys in ("name", "stem"):
        datasets.from_image_folder(root, path, keys=keys, exist="replace")
        found = samples(path)[0]
        assert found == sorted(found)
        assert b"__order__" not in recipes.records(path)
        assert len(found) == 5


def test_keys_must_differ(root, path):
    os.makedirs(root)
    for name in ("a.png", "a.jpg"):
        Image.new("L", (2, 2)).save(f"{root}/{name}")
    with pytest.raises(pylmdb.InvalidParameterError, match="both have the key 'a'"):
        datasets.from_image_folder(root, path, keys="stem")
    assert not os.path.exists(path)


@pytest.mark.parametrize("layout", ["numbered", "datum", "ocr", "folder2lmdb"])
def test_where_samples_are_numbered_a_file_may_come_twice(root, names, path, layout):
    done = datasets.from_images(items(root, names[:1] * 3), path, layout=layout)
    assert done.samples == 3
    assert len(samples(path)[0]) == 3


def test_shuffling(root, names, path, tmp_path):
    orders = []
    for seed in (0, 0, 1):
        datasets.from_image_folder(root, path, shuffle=True, seed=seed, exist="replace")
        keys, values = samples(path)
        orders.append(keys)
        assert values == [recipes.read(f"{root}/{key.decode()}") for key in keys]
    assert orders[0] == orders[1] != orders[2]
    assert sorted(orders[0]) == sorted(orders[2]) == [name.encode() for name in names]


def test_labels_of_folders(root, names, path):
    done = datasets.from_image_folder(root, path, layout="datum", keys="number")
    assert done.classes == ["cat", "dog"]
    assert [label for _, label in samples(path)[1]] == [0, 0, 0, 1, 1, 1]
    done = datasets.from_image_folder(root, path, layout="ocr", exist="replace")
    assert [label for _, label in samples(path)[1]] == ["cat"] * 3 + ["dog"] * 3
    done = datasets.from_image_folder(root, path, layout="datum", labels=None, exist="replace")
    assert done.classes == []
    assert [label for _, label in samples(path)[1]] == [None] * 6
    with pytest.raises(pylmdb.InvalidParameterError, match="labels"):
        datasets.from_image_folder(root, path, labels="folders", exist="replace")


def test_other_files_are_left_out(root, names, path):
    for name in ("cat/notes.txt", "Thumbs.db"):
        with open(f"{root}/{name}", "w") as file:
            file.write("text")
    Image.new("L", (2, 2)).save(f"{root}/UPPER.PNG")
    assert datasets.from_image_folder(root, path).samples == 7
    done = datasets.from_image_folder(root, path, extensions={".txt"}, exist="replace")
    assert done.samples == 1


def test_list_files(tmp_path, root, names, path):
    text = tmp_path / "list.txt"
    text.write_text(f"{names[0]} 7\n\n  {names[1]}\t-3 \r\n")
    with pytest.raises(pylmdb.PathNotFoundError):
        datasets.from_image_list(text, path, layout="datum")
    text.write_text(f"{names[0]} 7\n\n{names[1]}\t-3 \r\n")
    done = datasets.from_image_list(text, path, root=root, layout="datum", exist="replace")
    assert done.samples == 2
    assert [label for _, label in samples(path)[1]] == [7, -3]
    text.write_text(f"/{names[0]} 7\n")  # Caffe appends it to the root
    datasets.from_image_list(text, path, root=f"{root}/", exist="replace", layout="datum")
    assert [label for _, label in samples(path)[1]] == [7]
    for line in ("no_label.png", "a.png b", "a.png 1.5", "a.png "):
        text.write_text(f"{names[0]} 7\n{line}\n")
        with pytest.raises(pylmdb.InvalidParameterError, match=r"line 2.*a label, which is an int"):
            datasets.from_image_list(text, path, root=root, exist="replace")


def test_resuming(root, names, path):
    datasets.from_images(items(root, names[:4]), path)
    seen = []
    done = datasets.from_images(
        items(root, names), path, resume=True, progress=lambda *at: seen.append(at)
    )
    assert done.samples == 6
    assert len(seen) == 2
    assert samples(path)[0] == [name.encode() for name in names]
    for options in ({"errors": "skip"}, {"exist": "replace"}):
        with pytest.raises(pylmdb.InvalidParameterError, match="resume"):
            datasets.from_images(items(root, names), path, resume=True, **options)


# -- what is no image ------------------------------------------------------------------


def test_what_is_no_image(root, names, path):
    with open(f"{root}/cat/broken.png", "wb") as file:
        file.write(recipes.read(f"{root}/{names[0]}")[:60])
    with open(f"{root}/cat/none.jpg", "wb") as file:
        file.write(b"")
    assert datasets.from_image_folder(root, path).samples == 8, "files are stored as they are"
    with pytest.raises(pylmdb.InvalidParameterError, match="broken"):
        datasets.from_image_folder(root, path, decode=True, exist="replace")
    done = datasets.from_image_folder(root, path, decode=True, errors="skip", exist="replace")
    assert done.samples == 6
    assert [os.path.basename(name) for name, _ in done.skipped] == ["broken.png", "none.jpg"]


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_every_damaged_image_is_listed(root, path):
    os.makedirs(root)
    chance = np.random.default_rng(1)
    for kind in ("png", "jpg", "gif", "bmp", "tif", "webp"):
        Image.fromarray(chance.integers(0, 255, (9, 9, 3), np.uint8)).save(f"{root}/a.{kind}")
        content = recipes.read(f"{root}/a.{kind}")
        for number in range(30):
            damaged = bytearray(content[: chance.integers(1, len(content))])
            damaged[chance.integers(len(damaged))] ^= 0xFF
            with open(f"{root}/{number}.{kind}", "wb") as file:
                file.write(damaged)
    done = datasets.from_image_folder(root, path, decode=True, mode="RGB", errors="skip")
    assert done.samples >= 6
    assert done.samples + len(done.skipped) == 6 * 31


def test_pipes_and_folders_are_no_files(root, names, path):
    os.mkfifo(f"{root}/pipe.png")
    os.mkdir(f"{root}/folder.png")
    os.symlink("nowhere", f"{root}/link.png")
    os.symlink(f"{root}/{names[0]}", f"{root}/good.png")
    os.symlink("..", f"{root}/cat/loop")
    with pytest.raises((pylmdb.InvalidParameterError, FileNotFoundError)):
        datasets.from_image_folder(root, path)
    done = datasets.from_image_folder(root, path, errors="skip", exist="replace")
    assert done.samples == 7
    assert [os.path.basename(name) for name, _ in done.skipped] == ["link.png", "pipe.png"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"mode": "RGB", "decode": False}, "decode=True"),
        ({"decode": True, "mode": "CMYK"}, "mode"),
        ({"decode": True, "axes": "NCHW"}, "axes"),
        ({"decode": True, "resize": (0, 3)}, "resize"),
        ({"decode": True, "axes": "HWC", "layout": "datum"}, "CHW"),
        ({"keys": "path"}, "keys"),
        ({"layout": "nobody's"}, "layout"),
        ({"labels": "file"}, "labels"),
    ],
)
def test_options_that_do_not_fit(root, names, path, options, words):
    with pytest.raises(pylmdb.InvalidParameterError, match=words):
        datasets.from_image_folder(root, path, **options)
    assert not os.path.exists(path)


def test_no_folder(path):
    with pytest.raises(pylmdb.PathNotFoundError, match="'/no/such/folder' does not exist"):
        datasets.from_image_folder("/no/such/folder", path)


def test_an_empty_folder(root, path):
    os.makedirs(root)
    with pytest.raises(pylmdb.InvalidParameterError, match=r"has no images; extensions= .*\.png"):
        datasets.from_image_folder(root, path)
    with pytest.raises(pylmdb.InvalidParameterError, match="items has no images"):
        datasets.from_images([], path)
    with open(root + ".txt", "w") as names:
        names.write("\n")
    with pytest.raises(pylmdb.InvalidParameterError, match=r"txt' has no lines"):
        datasets.from_image_list(root + ".txt", path)
    assert not os.path.exists(path)


def test_large_files_are_read_whole(root, path):
    os.makedirs(root)
    content = os.urandom(3 << 20)
    for name in ("a.png", "b.png"):
        with open(f"{root}/{name}", "wb") as file:
            file.write(content)
    datasets.from_image_folder(root, path, threads=1)
    assert samples(path)[1] == [content, content]


# -- out again --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "key", [b"../out.png", b"/tmp/out.png", b"a/../../b.png", b"a//b.png", b"..", b"."]
)
def test_keys_do_not_lead_out_of_the_folder(tmp_path, path, key):
    with Writer(path) as writer:
        writer.write(key, b"\x89PNG\r\n\x1a\n")
    before = sorted(os.listdir(tmp_path))
    if key in (b"..", b"."):
        assert datasets.to_image_folder(path, tmp_path / "out") == 1
        assert len(os.listdir(tmp_path / "out")) == 1
        return
    with pytest.raises(pylmdb.InvalidParameterError, match="names='number'"):
        datasets.to_image_folder(path, tmp_path / "out")
    assert sorted(os.listdir(tmp_path)) == before
    datasets.to_image_folder(path, tmp_path / "out", names="number")
    assert os.listdir(tmp_path / "out") == ["00000000.png"]


def test_labels_do_not_lead_out_of_the_folder(tmp_path, path):
    with Writer(path, layout="folder2lmdb") as writer:
        writer.append(b"\xff\xd8\xff", 1)
    for name in ("..", "a/../..", ""):
        with pytest.raises(pylmdb.InvalidParameterError):
            datasets.to_image_folder(path, tmp_path / "out", classes=["a", name])
    assert sorted(os.listdir(tmp_path)) == ["packed"]


def test_names_of_files(tmp_path, path):
    values = {
        b"\0\0\0\1": b"\xff\xd8\xff",
        b"plain": b"RIFF....WEBP",
        b"with.png": b"\xff\xd8\xff",
        b"v1.25 x": b"GIF89a",
        b"\xff\xfe": b"?",
        "ü".encode(): b"BM",
    }
    with Writer(path) as writer:
        for key, value in values.items():
            writer.write(key, value)
    datasets.to_image_folder(path, tmp_path / "out")
    assert sorted(os.listdir(tmp_path / "out")) == sorted(
        ["00000000.jpg", "plain.webp", "with.png", "v1.25 x.gif", "00000004.bin", "ü.bmp"]
    )


def test_nothing_is_overwritten(tmp_path, path):
    with Writer(path) as writer:
        writer.write(b"a.png", b"x")
    datasets.to_image_folder(path, tmp_path / "out")
    with pytest.raises(pylmdb.PathExistsError):
        datasets.to_image_folder(path, tmp_path / "out")


@pytest.mark.parametrize("layout", ["plain", "datum", "folder2lmdb", "ocr", "basicsr"])
def test_decoded_files_keep_their_colours(tmp_path, path, layout):
    """Pillow decodes to RGB, with the channels last, whatever the layout has for pixels."""
    red = Image.new("RGB", (5, 4), (255, 0, 0))
    out = io.BytesIO()
    red.save(out, "PNG")
    with Writer(path, layout=layout) as writer:
        label = 1 if layout in ("datum", "folder2lmdb", "ocr") else None
        writer.append(out.getvalue(), label, "red" if layout == "basicsr" else None)
    with Dataset(path, decode="image") as dataset:
        datasets.to_image_folder(dataset, tmp_path / "out")
    (name,) = (tmp_path / "out").rglob("*.png")
    assert np.array_equal(np.asarray(Image.open(name)), np.asarray(red))


def test_arrays_that_are_no_images(tmp_path, path):
    with Writer(path) as writer:
        writer.append(np.zeros((2, 2, 2, 2)))
    with pytest.raises(pylmdb.InvalidParameterError, match="not an image"):
        datasets.to_image_folder(path, tmp_path / "out")


LINES = ["two\nlines", "end\n", "\r", "a\r\nb", "a\x85b", "a\u2028b", "\x0b", "x.png\ty\nz.png\tw"]


@pytest.mark.parametrize("label", LINES, ids=ascii)
def test_a_label_is_no_line_of_its_own(tmp_path, path, label):
    """It would be read as the label of another image."""
    with Writer(path, layout="ocr") as writer:
        writer.append(PNG, "fine\tand fine")
        writer.append(PNG, label)
    with pytest.raises(pylmdb.InvalidParameterError, match="has a line break"):
        datasets.to_image_folder(path, tmp_path / "out")
    mended = Dataset(path, transform=lambda sample: (sample[0], " ".join(sample[1].split())))
    datasets.to_image_folder(mended, tmp_path / "again")
    assert len((tmp_path / "again" / "labels.txt").read_text().splitlines()) == 2


@pytest.mark.parametrize(
    "key", [b"k" * 252, b"k" * 300, b"a/" + b"k" * 300, "\u00e9".encode() * 130]
)
def test_a_key_too_long_for_a_name_is_a_number(tmp_path, path, key):
    with Writer(path) as writer:
        writer.write(b"fits" * 62 + b"abc", PNG)
        writer.write(key, PNG)
    assert datasets.to_image_folder(path, tmp_path / "out") == 2
    with Dataset(path) as dataset:
        number = dataset.keys().index(key)
    assert {*os.listdir(tmp_path / "out")} == {"fits" * 62 + "abc.png", f"{number:08d}.png"}


def test_a_label_without_a_class(tmp_path, path):
    with Writer(path, layout="folder2lmdb") as writer:
        writer.append(PNG, -1)
    with pytest.raises(pylmdb.InvalidParameterError, match="a label -1; classes has names for"):
        datasets.to_image_folder(path, tmp_path / "out", classes=["cat", "dog"])


@pytest.mark.parametrize("layout", ["basicsr", "mmsr"])
def test_a_key_is_no_line_of_its_own(path, layout):
    value = PNG if layout == "basicsr" else np.zeros((2, 2, 3), np.uint8)
    with Writer(path, layout=layout) as writer:
        for name in ("two\nlines", "\x1b[31m", "tab\t"):
            with pytest.raises(pylmdb.InvalidParameterError, match="printable ASCII"):
                writer.append(value, name=name)
        assert len(writer) == 0
