"""The blocks below the steering layer run once for rows that read alike, and give every row what it would get alone."""

from __future__ import annotations

import torch
from tests.conftest import in_every_family

from steering_study.models.batches import left_pad
from steering_study.models.caches import SharedBlocks, first_of_each
from steering_study.models.chat import render_chat

TEXTS = ["Hello!", "Hello!", "How do I bake bread?", "Hello!"]
NEXT = [[7, 7, 7, 9], [5, 5, 5, 5]]  # the second and fourth rows part at the first new token
LAYER = 2


def steps(model):
    """Ids, mask and positions of the prompts and of two more tokens."""
    batch = left_pad(render_chat(model.tokenizer, TEXTS, context=256), pad=0, device="cpu")
    mask, positions = batch.mask, batch.position_ids
    yield batch.ids, mask, positions
    for tokens in NEXT:
        positions = positions[:, -1:] + 1
        mask = torch.cat([mask, torch.ones(len(TEXTS), 1, dtype=torch.long)], dim=1)
        yield torch.tensor(tokens)[:, None], mask, positions


@in_every_family
def test_each_row_gets_the_residuals_that_it_would_get_alone(tiny):
    together = SharedBlocks(tiny.model, layer=LAYER)
    alone = [SharedBlocks(tiny.model, layer=LAYER) for _ in TEXTS]
    with torch.no_grad():
        for step in steps(tiny.model):
            found, _ = together.run(*step)
            for i, lower in enumerate(alone):
                expected, _ = lower.run(*(part[i : i + 1] for part in step))
                is_real = step[1][i, -step[0].shape[1] :].bool()
                assert torch.allclose(found[i][is_real], expected[0][is_real], atol=1e-5)


def test_rows_that_leave_take_nothing_with_them(tiny):
    lower, whole = (SharedBlocks(tiny.model, layer=LAYER) for _ in range(2))
    kept = torch.tensor([1, 3])
    with torch.no_grad():
        for number, step in enumerate(steps(tiny.model)):
            expected, _ = whole.run(*step)
            if number == 2:
                lower.select(kept)
                found, _ = lower.run(*(part[kept] for part in step))
                assert torch.allclose(found, expected[kept], atol=1e-5)
            else:
                lower.run(*step)


def test_branches_go_on_apart(tiny):
    blocks = SharedBlocks(tiny.model, layer=LAYER)
    first, second, _ = steps(tiny.model)
    rows = torch.tensor([3, 0, 0])
    with torch.no_grad():
        blocks.run(*first)
        branch = blocks.branch(rows)
        found, _ = branch.run(*(part[rows] for part in second))
        expected, _ = blocks.run(*second)
        again, _ = branch.run(*(part[rows] for part in _third(second)))
        after, _ = blocks.run(*_third(second))
    assert torch.allclose(found, expected[rows], atol=1e-5)
    assert torch.allclose(again, after[rows], atol=1e-5)


def _third(step):
    ids, mask, positions = step
    return ids + 1, torch.cat([mask, torch.ones_like(ids)], dim=1), positions + 1


def test_blocks_see_every_distinct_row_once(tiny):
    seen = []
    gate = tiny.model.bridge.blocks[0].mlp.original_component.gate_proj.original_component
    handle = gate.register_forward_pre_hook(lambda module, args: seen.append(len(args[0])))
    lower = SharedBlocks(tiny.model, layer=LAYER)
    with torch.no_grad():
        for step in steps(tiny.model):
            lower.run(*step)
    handle.remove()
    assert seen == [2, 3, 3]


def test_groups_are_of_equal_rows():
    group, first = first_of_each(torch.tensor([[4, 1], [2, 9], [4, 1], [2, 8]]))
    assert group.tolist() == [2, 1, 2, 0]
    assert first.tolist() == [3, 1, 0]
