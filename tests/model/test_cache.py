"""Cached = uncached, and batched = alone: the cache only saves work."""

import random

import pytest
import torch
from torch import Tensor

from janus.config import LatentAttentionConfig, TransformerConfig
from janus.model.cache import BranchedRows, Cache, LayerCache, RowBlock, Rows
from janus.model.latent_attention import LatentAttention, new_latent_cache
from janus.model.rotary import rotation
from janus.model.transformer import Transformer
from tests.oracle import TEXT, our_config, randomize, relative_error

# N tokens of all rows, T tokens of one row, D width

LENGTH = 24  # of a slot
KINDS = [
    "llama",
    "llama, grouped keys of a width of their own",
    "deepseek, groups of experts",
    "deepseek, yarn",
    "glm, half rotated, norms of queries and keys",
]


@pytest.fixture(scope="module", params=KINDS)
def transformer(request: pytest.FixtureRequest) -> Transformer:
    return build(request.param)


def build(name: str) -> Transformer:
    transformer = Transformer(our_config(name).transformer)
    randomize(transformer)
    return transformer.requires_grad_(False)


def sequence(transformer: Transformer, length: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(length, transformer.config.hidden_size, generator=generator)


def alone(transformer: Transformer, hidden_TD: Tensor) -> Tensor:
    """The whole row at once, without a cache."""
    return transformer(hidden_TD, Rows.uniform(1, len(hidden_TD)))


def in_pieces(
    transformer: Transformer, hidden_TD: Tensor, pieces: list[int], cache: Cache, slot: int
) -> Tensor:
    start, found = 0, []
    for count in pieces:
        rows = Rows(counts=(count,), starts=(start,), slots=(slot,))
        found.append(transformer(hidden_TD[start : start + count], rows, cache))
        start += count
    return torch.cat(found)


def cut(length: int, rng: random.Random) -> list[int]:
    """Pieces of random sizes, single tokens among them, that add up to `length`."""
    marks = sorted(rng.sample(range(1, length), rng.randrange(length)))
    return [end - start for start, end in zip([0, *marks], [*marks, length], strict=True)]


@pytest.mark.parametrize("seed", range(5))
def test_any_pieces_give_the_whole(transformer: Transformer, seed: int) -> None:
    length = random.Random(seed).randrange(8, LENGTH)
    pieces = {0: [1] * length, 1: [length]}.get(seed) or cut(length, random.Random(seed))
    hidden_TD = sequence(transformer, length, seed)
    cached = in_pieces(transformer, hidden_TD, pieces, transformer.new_cache(2, LENGTH), slot=1)
    assert relative_error(cached, alone(transformer, hidden_TD)) <= 1e-5


@pytest.mark.parametrize("seed", range(3))
def test_rows_do_not_see_each_other(transformer: Transformer, seed: int) -> None:
    rng = random.Random(seed)
    lengths = [rng.randrange(3, LENGTH) for _ in range(5)]
    sequences = [sequence(transformer, length, 10 * seed + i) for i, length in enumerate(lengths)]
    batched = decode_together(transformer, sequences, [cut(length, rng) for length in lengths], rng)
    for row, hidden_TD in zip(batched, sequences, strict=True):
        assert relative_error(row, alone(transformer, hidden_TD)) <= 1e-5


def decode_together(
    transformer: Transformer, sequences: list[Tensor], pieces: list[list[int]], rng: random.Random
) -> list[Tensor]:
    """Some of the rows take their next piece in each step, in slots of any order."""
    cache = transformer.new_cache(len(sequences), LENGTH)
    slots = rng.sample(range(len(sequences)), len(sequences))
    pieces, starts = [list(row) for row in pieces], [0] * len(sequences)
    found: list[list[Tensor]] = [[] for _ in sequences]
    while waiting := [i for i, row in enumerate(pieces) if row]:
        taken = rng.sample(waiting, rng.randint(1, len(waiting)))
        counts = [pieces[i].pop(0) for i in taken]
        rows = Rows(
            counts=tuple(counts),
            starts=tuple(starts[i] for i in taken),
            slots=tuple(slots[i] for i in taken),
        )
        new = [sequences[i][starts[i] :][:n] for i, n in zip(taken, counts, strict=True)]
        hidden_ND = transformer(torch.cat(new), rows, cache)
        for i, piece in zip(taken, hidden_ND.split(counts), strict=True):
            found[i].append(piece)
            starts[i] += len(piece)
    return [torch.cat(row) for row in found]


def test_a_branch_continues_the_stem_as_if_alone(transformer: Transformer):
    stem, first, second = (sequence(transformer, length, length) for length in (7, 4, 5))
    branches_RT = torch.tensor([[0] * 7 + [1] * 4 + [2] * 5] * 2)
    whole_RTD = transformer(
        torch.cat([stem, first, second] * 2), BranchedRows.of(branches_RT)
    ).unflatten(0, (2, -1))
    for row_TD in whole_RTD:
        for branch, place in ((first, slice(7, 11)), (second, slice(11, 16))):
            expected_TD = alone(transformer, torch.cat([stem, branch]))
            found_TD = torch.cat([row_TD[:7], row_TD[place]])
            assert relative_error(found_TD, expected_TD) < 1e-5


def test_a_slot_forgets_the_row_before(transformer: Transformer) -> None:
    fresh, used = transformer.new_cache(1, LENGTH), transformer.new_cache(1, LENGTH)
    in_pieces(transformer, 100 * sequence(transformer, LENGTH, 1), [LENGTH], used, slot=0)
    hidden_TD = sequence(transformer, 9, 2)
    expected = in_pieces(transformer, hidden_TD, [4, 1, 3, 1], fresh, slot=0)
    assert torch.equal(in_pieces(transformer, hidden_TD, [4, 1, 3, 1], used, slot=0), expected)


def test_a_long_neighbour_in_the_batch_leaves_no_trace(transformer: Transformer) -> None:
    """Single-token rows are read up to the longest of them, over what a slot held before."""
    cache = transformer.new_cache(2, LENGTH)
    in_pieces(transformer, 100 * sequence(transformer, LENGTH, 1), [LENGTH], cache, slot=0)
    long_TD, short_TD = sequence(transformer, 20, 2), sequence(transformer, 5, 3)
    in_pieces(transformer, long_TD[:-1], [19], cache, slot=1)
    in_pieces(transformer, short_TD[:-1], [4], cache, slot=0)
    rows = Rows(counts=(1, 1), starts=(4, 19), slots=(0, 1))
    last_ND = transformer(torch.stack([short_TD[-1], long_TD[-1]]), rows, cache)
    for found, whole_TD in zip(last_ND, (short_TD, long_TD), strict=True):
        assert relative_error(found, alone(transformer, whole_TD)[-1]) <= 1e-5


@pytest.mark.parametrize("q_lora_rank", [None, 24])
@pytest.mark.parametrize("nope,rope,value", [(16, 8, 16), (16, 8, 12), (8, 16, 20)])
def test_absorbed_attention_is_expanded_attention(
    q_lora_rank: int | None, nope: int, rope: int, value: int
) -> None:
    latent = LatentAttentionConfig(
        kv_lora_rank=64,
        q_lora_rank=q_lora_rank,
        qk_nope_head_dim=nope,
        qk_rope_head_dim=rope,
        v_head_dim=value,
    )
    config = TransformerConfig(hidden_size=48, num_attention_heads=4, latent_attention=latent)
    attention = LatentAttention(config).requires_grad_(False)
    randomize(attention)
    hidden_TD = torch.randn(11, 48, generator=torch.Generator().manual_seed(0))
    cache = new_latent_cache(config, 1, 11, like=hidden_TD)

    def attend(new_TD: Tensor, rows: Rows, cache: LayerCache | None) -> Tensor:
        return attention(new_TD, rotation(config, rows.positions_N, new_TD.dtype), rows, cache)

    expanded_TD = attend(hidden_TD, Rows.uniform(1, 11), None)
    singles = [Rows(counts=(1,), starts=(t,), slots=(0,)) for t in range(11)]
    absorbed = [attend(x[None], row, cache) for x, row in zip(hidden_TD, singles, strict=True)]
    assert relative_error(torch.cat(absorbed), expanded_TD) <= 1e-5


def test_what_is_kept_of_a_token() -> None:
    """All keys and values, or one compressed vector and one rotated key for all heads."""
    kept = {name: build(name).new_cache(3, LENGTH).num_bytes for name in ("glm", "deepseek")}
    layers, text = 2, TEXT["deepseek"]
    slots = layers * 3 * LENGTH
    assert kept["glm"] == slots * 2 * 4 * 12 * 4
    assert kept["deepseek"] == slots * (text["kv_lora_rank"] + text["qk_rope_head_dim"]) * 4


def test_where_the_new_tokens_stand() -> None:
    rows = Rows(counts=(1, 1, 3, 2, 2), starts=(7, 0, 4, 0, 5), slots=(2, 0, 3, 1, 4))
    assert rows.positions_N.tolist() == [7, 0, 4, 5, 6, 0, 1, 5, 6]
    single, triple, new, pair = rows.blocks
    tokens = [slice(0, 2), slice(2, 5), slice(5, 7), slice(7, 9)]
    assert [block.tokens for block in rows.blocks] == tokens
    assert (single.count, single.length, single.slots) == (1, 8, (2, 0))
    assert (triple.count, triple.length, triple.slots) == (3, 7, (3,))
    assert (new.count, new.length, new.slots) == (2, 2, (1,))
    assert (pair.count, pair.length, pair.slots) == (2, 7, (4,))


def test_what_each_new_token_sees() -> None:
    """Itself and all that came before it in its row; no mask where that is everything."""

    def block(count: int, *starts: int) -> RowBlock:
        slots = tuple(range(len(starts)))
        return RowBlock(slice(0, count * len(starts)), count, starts, slots, "cpu")

    assert block(1, 4, 4).mask_R1TL() is None
    assert block(3, 0, 0).is_causal and block(3, 0, 0).mask_R1TL() is None
    for count, starts in [(1, (4, 2)), (3, (2, 2)), (3, (0, 2))]:
        mask_R1TL = block(count, *starts).mask_R1TL()
        assert mask_R1TL is not None
        seen_RT = mask_R1TL.sum(dim=-1)[:, 0].expand(len(starts), -1)
        assert seen_RT.tolist() == [[start + t + 1 for t in range(count)] for start in starts]
        assert not mask_R1TL[..., :-1].logical_not().logical_and(mask_R1TL[..., 1:]).any()


@pytest.mark.parametrize("heads", [(), (3,)])
@pytest.mark.parametrize(
    ("count", "starts", "slots"), [(1, (4, 4), (1, 2)), (2, (0, 5), (1, 2)), (3, (4, 4), (3, 1))]
)
def test_each_new_token_is_written_to_its_place(
    count: int, starts: tuple[int, ...], slots: tuple[int, ...], heads: tuple[int, ...]
) -> None:
    cache = LayerCache(torch.zeros(()), 4, 8, (*heads, 2))
    values_RT = torch.rand(len(slots), count, *heads, 2)
    rows = Rows(counts=(count,) * len(slots), starts=starts, slots=slots)
    cache.write(rows, values_RT.flatten(0, 1))
    [kept] = cache.tensors
    for slot, start, value_T in zip(slots, starts, values_RT, strict=True):
        for t in range(count):
            assert torch.equal(kept[slot, ..., start + t, :], value_T[t])
    assert kept.count_nonzero() == values_RT.numel()


def test_neighbouring_slots_are_read_without_a_copy() -> None:
    cache = LayerCache(torch.zeros(()), 4, 8, (2,))
    for slots, copied in [((1, 2), False), ((2, 1), True), ((0, 2), True), ((3,), False)]:
        rows = Rows(counts=(1,) * len(slots), starts=(5,) * len(slots), slots=slots)
        (read_RLx,) = cache.read(rows.blocks[0])
        assert read_RLx.shape == (len(slots), 6, 2)
        assert (read_RLx.data_ptr() == cache.tensors[0][slots[0]].data_ptr()) is not copied
