"""The container: 2,000 damaged archives, each refused; and what a file that is sealed again can do."""

import dataclasses
import hashlib
import struct
from math import prod

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.coding.models import build, likelihoods, networks, random_levels, seeds
from tinyvae.coding import archive, symbols
from tinyvae.coding.archive import DIGEST, MAGIC, Archive, unpack_messages
from tinyvae.coding.bitsback import BitsBack
from tinyvae.coding.lossless import compress, decompress
from tinyvae.coding.network import plan_for
from tinyvae.coding.pixels import CODERS
from tinyvae.coding.prior import prior_for
from tinyvae.coding.symbols import images_of
from tinyvae.derivation.model import Model
from tinyvae.derivation.parameters import Parameters
from tinyvae.errors import DataError

DAMAGED, FORGED = 2000, 500
NETWORK = {"data_shape": (6, 6), "latent": (3,), "hidden": ((8,),)}
WORDS = [b"\0", b"\xff" * 4, b"9" * 9, b"true", b"[", b'"', b"256", b"|b1", b"<f8", b"1e9"]


@pytest.fixture(scope="module")
def code():
    """A model that expects zeros, so that zeros are coded in little."""
    model, params = build(NETWORK, seed=1)
    params["decoder.1.b"][:] = -4
    return BitsBack(model, params)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).random((40, 6, 6)) < 0.02


@pytest.fixture(scope="module")
def content(code, images):
    done = compress(code, images, "runs/one")
    assert done.coded
    return done.content


def decoded(content, code):
    return decompress(Archive.from_bytes(content), code)


def damages(content, count, seed):
    """Bytes that are not those of the content: changed, cut, extended, moved, repeated, with words put in."""
    random = np.random.default_rng(seed)
    while count:
        place, other = sorted(random.integers(0, len(content) + 1, 2))
        word = WORDS[random.integers(len(WORDS))]
        flipped = bytearray(content)
        flipped[place - 1] ^= 1 << random.integers(8)
        wrong = [
            bytes(flipped),
            content[:place],
            content[place:],
            content + random.bytes(random.integers(1, 50)),
            content[:place] + content[other:],
            content[:other] + content[place:],
            content[:place] + word + content[place:],
            content[:place] + word + content[place + len(word) :],
        ][random.integers(8)]
        if wrong != content:
            count -= 1
            yield wrong


def sealed(body):
    return body + hashlib.sha256(body).digest()


def test_each_damaged_archive_is_refused(content, code, images):
    assert np.array_equal(decoded(content, code), images)
    for wrong in damages(content, DAMAGED, 0):
        with pytest.raises(DataError):
            Archive.from_bytes(wrong)


def test_a_file_that_was_changed_and_sealed_again_is_refused_too(content, code, images):
    """By what its header promises, by the messages, which do not end in their initial bits, or by the images' digest.

    Some changes leave the images as they were: of where the run is, or of what the JSON looks like.
    """
    refused = 0
    for wrong in damages(content[:-DIGEST], FORGED, 1):
        try:
            assert np.array_equal(decoded(sealed(wrong), code), images)
        except (DataError, MemoryError):
            refused += 1
    assert refused > 0.9 * FORGED


def test_every_change_of_the_messages_is_found(content, code):
    """By the state that they do not come back to, before any image is compared."""
    start = len(content) - DIGEST - len(Archive.from_bytes(content).payload)
    for place in range(start, len(content) - DIGEST):
        wrong = bytearray(content[:-DIGEST])
        wrong[place] ^= 1 << place % 8
        with pytest.raises(DataError):
            decoded(sealed(bytes(wrong)), code)


@given(networks, likelihoods, st.integers(1, 5), st.sampled_from([np.uint8, np.float32, np.float64]), seeds)
def test_what_is_compressed_comes_back_and_takes_no_more_than_the_raw_data_and_a_header(
    network, likelihood, N, dtype, seed
):
    code = BitsBack(*build(network, likelihood, np.float32, seed))
    levels = random_levels(code.model, N, seed)
    images = images_of(levels, np.dtype(dtype), (N, *code.model.data_shape), CODERS[likelihood].levels)
    done = compress(code, images)
    again = decoded(done.content, code)
    assert again.dtype == images.dtype and again.shape == images.shape and again.tobytes() == images.tobytes()
    raw, messages = archive.pack_raw(levels, CODERS[likelihood].levels), archive.pack_messages(done.encoded.messages)
    assert Archive.from_bytes(done.content).payload == (messages if len(messages) < len(raw) else raw)
    assert len(done.content) <= len(raw) + 250
    assert not done.coded or decoded(done.content, code) is not None
    if not done.coded:  # which any reader can take out
        assert decoded(done.content, None).tobytes() == images.tobytes()


def test_equal_images_give_an_equal_file(content, code, images):
    assert compress(code, images.copy(), "runs/one", threads=3).content == content
    assert compress(BitsBack(*build_again(code)), images, "runs/one").content == content


def build_again(code):
    model, params = build(NETWORK, seed=1)
    params["decoder.1.b"][:] = -4
    assert BitsBack(model, params).digest == code.digest
    return model, params


@pytest.mark.parametrize("shape", [(0, 6, 6), (0, 36)])
def test_no_images_are_refused(code, shape):
    with pytest.raises(DataError, match="nothing to compress"):
        compress(code, np.zeros(shape, bool))


@pytest.mark.parametrize("shape", [(3, 6, 5), (36,), (2, 35), (2, 6, 6, 3)])
def test_images_of_another_shape_are_refused(code, shape):
    with pytest.raises(DataError, match="the model's images are"):
        compress(code, np.zeros(shape, bool))


@pytest.mark.parametrize("shape", [(3, 36), (3, 6, 6), (3, 6, 6, 1), (3, 4, 9)])
def test_the_same_numbers_in_other_shapes_come_back_in_theirs(code, shape):
    assert decoded(compress(code, np.zeros(shape, bool)).content, code).shape == shape


def test_an_archive_of_another_model_is_refused(content, code):
    model, params = build_again(code)
    params.flat[7] = np.nextafter(params.flat[7], 1, dtype=np.float32)
    with pytest.raises(DataError, match="another model"):
        decoded(content, BitsBack(model, params))


def test_each_part_of_a_model_makes_another_one(code):
    """The likelihood, the layers and the weights of both networks."""

    def digest(likelihood="bernoulli", **changes):
        model, params = build(NETWORK | changes.pop("network", {}), seed=1)
        for name, value in changes.items():
            params[name].flat[-1] += value
        plans = [
            plan_for(net[0], params.part(part))
            for net, part in ((model.encoders, "encoder"), (model.decoders, "decoder"))
        ]
        return archive.model_digest(likelihood, tuple(plans), prior_for(model, params, plans[0]))

    others = [
        digest("logistic"),
        digest(network={"activation": "relu"}),
        digest(**{"encoder.0.W": 1.0}),
        digest(**{"encoder.1.b": 1.0}),
        digest(**{"decoder.0.b": 1.0}),
        digest(**{"decoder.1.W": 1.0}),
    ]
    assert digest() == digest() and len({digest(), *others}) == 1 + len(others)


@pytest.mark.parametrize("name", ["centre", "scale", "mu", "logvar", "starts"])
def test_each_part_of_a_learned_prior_makes_another_model(name):
    model, params = build(NETWORK | {"prior": "mixture", "n_components": 3})
    encoder = plan_for(model.encoders[0], params.part("encoder"))
    prior = prior_for(model, params, encoder)
    other = getattr(prior, name).copy()
    other.flat[1] += 1
    digests = [archive.model_digest("bernoulli", (encoder,), each) for each in (prior, prior._replace(**{name: other}))]
    assert digests[0] != digests[1]


def test_the_type_the_shape_and_the_numbers_of_images_are_digested():
    x = np.arange(12, dtype=np.uint8).reshape(3, 4)
    others = [x.reshape(4, 3), x.reshape(1, 12), x.reshape(3, 4, 1), x.view(np.int8), x + np.uint8(1), x[:, ::-1]]
    assert len({archive.images_digest(each) for each in (x, *others)}) == 7
    assert archive.images_digest(np.asfortranarray(x)) == archive.images_digest(x)


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "it is empty"), (b"PK\3\4", "no archive of tinyvae"), (MAGIC, "damaged"), (MAGIC + b"\0" * 50, "damaged")],
)
def test_other_files_are_told_apart(content, reason):
    with pytest.raises(DataError, match=reason):
        Archive.from_bytes(content)


def test_more_axes_than_an_array_can_have_are_no_header(content):
    header = Archive.from_bytes(content)
    for axes, is_archive in ((30, True), (31, False), (65, False)):
        shape = (*header.shape[:1], *[1] * axes, prod(header.shape[1:]))
        forged = dataclasses.replace(header, shape=shape).to_bytes()
        if is_archive:
            assert Archive.from_bytes(forged).shape == shape
        else:
            with pytest.raises(DataError, match="and is none"):
                Archive.from_bytes(forged)


@pytest.mark.parametrize("shape", [(0, 36), (3, 0), (2**24, 2**24), (3, True), (-3, -36), (2.0, 36), ("2", 36)])
def test_a_shape_that_no_array_of_images_has_is_no_header(content, shape):
    forged = dataclasses.replace(Archive.from_bytes(content), shape=shape).to_bytes()
    with pytest.raises(DataError, match="and is none"):
        Archive.from_bytes(forged)


def test_types_are_named_and_images_are_digested_as_on_a_little_endian_machine():
    x = np.random.default_rng(0).random((3, 4)).astype(np.float32)
    assert [symbols.name_of(np.dtype(kind)) for kind in (bool, "u1", "f4", "f8")] == ["|b1", "|u1", "<f4", "<f8"]
    assert archive.images_digest(x) == archive.images_digest(x.astype(">f4"))


def test_an_archive_of_a_newer_version_says_so(content):
    newer = content[:-DIGEST].replace(b'"format":1', b'"format":2')
    with pytest.raises(DataError, match="upgrade tinyvae"):
        Archive.from_bytes(sealed(newer))


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\0" * 5,
        struct.pack("<QI", 0, 0),
        struct.pack("<QI", 2**63, 0),
        struct.pack("<QI", 2**40, 2),
        b"\xff" * 12,
    ],
)
def test_messages_that_are_none_are_refused(payload):
    with pytest.raises(DataError):
        unpack_messages(payload)


PLAIN = {"data_shape": (4, 4), "latent": (3,), "hidden": ((6,),)}
FIXED = {
    "bits": (PLAIN, "bernoulli", "7adfcfae1e3bbe2d"),
    "levels": (PLAIN, "logistic-mixture", "60c2f26782407d34"),
    "colours": (PLAIN | {"data_shape": (2, 3, 3)}, "logistic-colour", "8140cd62a93dad5f"),
    "a mixture": (PLAIN | {"prior": "mixture", "n_components": 4}, "bernoulli", "78599b0fbd4bbaef"),
    "a VampPrior and convolutions": (
        PLAIN | {"prior": "vamp", "n_components": 3, "network": "conv", "channels": (3, 2), "kernel": 3},
        "logistic",
        "2913cb74e433175b",
    ),
}


def fixed_messages(network, likelihood):
    """What some images are under a model, both of numbers that NumPy has promised never to change."""
    rng, model = np.random.RandomState(0), Model(**network, likelihood=likelihood)
    params = Parameters(model.shapes(), dtype=np.float32)
    params.flat[:] = rng.random_sample(params.flat.size) - 0.5
    levels = rng.randint(0, CODERS[likelihood].levels, (30, model.data_dim)).astype(np.uint8)
    return archive.pack_messages(BitsBack(model, params).encode(levels).messages)


@pytest.mark.parametrize("name", FIXED)
def test_messages_are_what_they_were(name):
    """A file is to be read in any year. Whatever changes its bits is another format, and needs another number."""
    network, likelihood, expected = FIXED[name]
    assert archive.FORMAT == 1 and hashlib.sha256(fixed_messages(network, likelihood)).hexdigest()[:16] == expected
