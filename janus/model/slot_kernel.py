"""Attention of few queries to long slots, as a Triton kernel: the cache is read where it lies.

A row's positions are divided into pieces of `SPLIT`, which are attended to side by side and then
put together, so that one picture fills a large GPU too ("flash decoding", arXiv 2205.14135 with
the division of pytorch.org/blog/flash-decoding). Pieces do not depend on the batch, and neither
does a row's result. Rows may be of any length and in any slots: nothing is padded or gathered.

The operator of xformers that does the same (0.0.35, `triton_splitk`) is no alternative: it needs
block pointers, which Triton has given up by 3.9. Sums are tested in Triton's interpreter, and the
kernel compiles for Hopper; no GPU has run it yet.
"""

# R rows, T new tokens of each, H heads, K key heads, G heads that share a key head, Q = G * T
# queries of a key head, S slots, L positions, d width of a value, P pieces

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

SPLIT = 128  # positions
MOST_QUERIES = 128  # of a key head: 16 heads of a latent cache, with windows of eight
LOG2_E = 1.4426950408889634


def suits(num_new: int, group: int, key_width: int, value_width: int) -> bool:
    """Whether the kernel takes T new tokens of G heads a key head, and these widths.

    Widths are powers of two, as are keys' extra ones.
    """
    extra = key_width - value_width
    return (
        num_new * group <= MOST_QUERIES
        and _is_tile(value_width)
        and (extra == 0 or _is_tile(extra))
        and value_width <= 512
    )


def attend_slots(
    q_RTHk: Tensor, k_SKLk: Tensor, v_SKLd: Tensor, slots_R: Tensor, ends_R: Tensor, scale: float
) -> Tensor:
    """Softmax attention of each row's new tokens to its slot, [R, T, H, d].

    The new tokens of row r are the last of its first `ends_R[r]` positions, and each sees those
    up to its own. Keys may be wider than values, and both the same memory.
    """
    num_rows, num_new, num_heads, key_width = q_RTHk.shape
    num_key_heads, length, width = v_SKLd.shape[1:]
    num_queries = num_heads // num_key_heads * num_new
    tile = _tile(num_queries, width)
    num_tiles = -(-num_queries // tile)
    num_pieces = -(-length // SPLIT)
    lists = (num_rows, num_key_heads, num_pieces, num_tiles * tile)
    partial = q_RTHk.new_empty(*lists, width, dtype=torch.float32)
    top, total = (q_RTHk.new_empty(*lists, dtype=torch.float32) for _ in range(2))
    out_RTHd = q_RTHk.new_empty(num_rows, num_new, num_heads, width)
    attend_piece: Any = _attend_piece[(num_rows * num_key_heads, num_pieces, num_tiles)]
    attend_piece(
        q_RTHk,
        k_SKLk,
        v_SKLd,
        partial,
        top,
        total,
        slots_R,
        ends_R,
        *q_RTHk.stride()[:3],
        *k_SKLk.stride()[:3],
        *v_SKLd.stride()[:3],
        scale * LOG2_E,
        num_key_heads,
        num_new,
        num_queries,
        WIDTH=width,
        EXTRA=key_width - width,
        TILE=tile,
        SPLIT=SPLIT,
        BLOCK=64 if width <= 128 else 32,
        num_stages=2,
    )
    put_together: Any = _put_together[(num_rows * num_key_heads, num_queries)]
    put_together(
        partial,
        top,
        total,
        out_RTHd,
        ends_R,
        *out_RTHd.stride()[:3],
        num_key_heads,
        num_new,
        num_pieces,
        num_tiles * tile,
        WIDTH=width,
        SPLIT=SPLIT,
    )
    return out_RTHd


def _is_tile(width: int) -> bool:
    return width >= 16 and width & (width - 1) == 0


def _tile(num_queries: int, width: int) -> int:
    """Queries that one program attends with: wide values leave registers for fewer."""
    most = 64 if width <= 128 else 16
    return min(most, max(16, triton.next_power_of_2(num_queries)))


@triton.jit
def _attend_piece(
    q,
    k,
    v,
    partial,
    top,
    total,
    slots,
    ends,
    q_row,
    q_new,
    q_head,
    k_slot,
    k_head,
    k_place,
    v_slot,
    v_head,
    v_place,
    scale,
    num_key_heads,
    num_new,
    num_queries,
    WIDTH: tl.constexpr,
    EXTRA: tl.constexpr,
    TILE: tl.constexpr,
    SPLIT: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """One piece of one row's positions, for a tile of the queries of one key head.

    Leaves sums of exp2(score - top) * value, of exp2(score - top), and the top itself.
    """
    row, head = tl.program_id(0) // num_key_heads, tl.program_id(0) % num_key_heads
    piece, tile = tl.program_id(1), tl.program_id(2)
    end = tl.load(ends + row)
    begin = piece * SPLIT
    if begin >= end:  # `_put_together` does not read it
        return
    slot = tl.load(slots + row).to(tl.int64)
    queries = tile * TILE + tl.arange(0, TILE)  # query i is token i % T of head i // T
    is_query = queries < num_queries
    new = queries % num_new
    heads = head * (num_queries // num_new) + queries // num_new
    last_seen = end - num_new + new
    columns = tl.arange(0, WIDTH)
    from_q = q + row * q_row + new * q_new + heads * q_head
    q_Qd = tl.load(from_q[:, None] + columns[None], mask=is_query[:, None], other=0.0)
    from_k, from_v = k + slot * k_slot + head * k_head, v + slot * v_slot + head * v_head
    if EXTRA > 0:
        extra = WIDTH + tl.arange(0, EXTRA)
        q_Qe = tl.load(from_q[:, None] + extra[None], mask=is_query[:, None], other=0.0)
    top_Q = tl.full([TILE], float("-inf"), tl.float32)
    total_Q = tl.zeros([TILE], tl.float32)
    sum_Qd = tl.zeros([TILE, WIDTH], tl.float32)
    for start in range(begin, tl.minimum(begin + SPLIT, end), BLOCK):
        places = start + tl.arange(0, BLOCK)
        is_place = (places < end)[:, None]
        k_Ld = tl.load(from_k + places[:, None] * k_place + columns[None], mask=is_place, other=0.0)
        v_Ld = tl.load(from_v + places[:, None] * v_place + columns[None], mask=is_place, other=0.0)
        score_QL = tl.dot(q_Qd, tl.trans(k_Ld), input_precision="ieee")
        if EXTRA > 0:
            from_extra = from_k + places[:, None] * k_place + extra[None]
            k_Le = tl.load(from_extra, mask=is_place, other=0.0)
            score_QL += tl.dot(q_Qe, tl.trans(k_Le), input_precision="ieee")
        sees_QL = places[None] <= last_seen[:, None]
        score_QL = tl.where(sees_QL, score_QL * scale, float("-inf"))
        new_top_Q = tl.maximum(top_Q, tl.max(score_QL, 1))
        # Of a query that has seen nothing yet all powers are 0, not exp2(-inf + inf).
        against_Q = tl.where(new_top_Q == float("-inf"), 0.0, new_top_Q)
        power_QL = tl.exp2(score_QL - against_Q[:, None])
        kept_Q = tl.exp2(top_Q - against_Q)
        total_Q = total_Q * kept_Q + tl.sum(power_QL, 1)
        seen_Qd = tl.dot(power_QL.to(v_Ld.dtype), v_Ld, input_precision="ieee")
        sum_Qd = sum_Qd * kept_Q[:, None] + seen_Qd
        top_Q = new_top_Q
    place = (tl.program_id(0) * tl.num_programs(1) + piece) * tl.num_programs(2) * TILE + queries
    tl.store(partial + place[:, None] * WIDTH + columns[None], sum_Qd)
    tl.store(top + place, top_Q)
    tl.store(total + place, total_Q)


@triton.jit
def _put_together(
    partial,
    top,
    total,
    out,
    ends,
    out_row,
    out_new,
    out_head,
    num_key_heads,
    num_new,
    num_pieces,
    num_lines,
    WIDTH: tl.constexpr,
    SPLIT: tl.constexpr,
):
    """The pieces' sums of one query, brought to one top, as a weighted mean."""
    row, head = tl.program_id(0) // num_key_heads, tl.program_id(0) % num_key_heads
    query = tl.program_id(1)
    columns = tl.arange(0, WIDTH)
    line = tl.program_id(0) * num_pieces * num_lines + query
    best = tl.load(top + line)  # finite: every query sees something of the first piece
    weight = tl.load(total + line)
    sum_d = tl.load(partial + line * WIDTH + columns)
    for _ in range(1, tl.cdiv(tl.load(ends + row), SPLIT)):
        line += num_lines
        top_here = tl.load(top + line)
        new_best = tl.maximum(best, top_here)
        kept = tl.exp2(best - new_best)
        taken = tl.exp2(top_here - new_best)
        weight = weight * kept + tl.load(total + line) * taken
        sum_d = sum_d * kept + tl.load(partial + line * WIDTH + columns) * taken
        best = new_best
    num_heads_a_key = tl.num_programs(1) // num_new
    to = row * out_row + query % num_new * out_new
    to += (head * num_heads_a_key + query // num_new) * out_head
    tl.store(out + to + columns, (sum_d / weight).to(out.dtype.element_ty))
