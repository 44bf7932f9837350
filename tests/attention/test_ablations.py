"""Names of ablations: what they hold or clear, where, and what they refuse."""

from __future__ import annotations

import re

import numpy as np
import pytest

from steering_study.attention.ablations import heads_of, mlps_of, parse_ablation


def flags(name):
    found = parse_ablation(name)
    held = "".join(
        letter
        for letter, is_held in zip(
            "qkv", (found.holds_queries, found.holds_keys, found.holds_values), strict=True
        )
        if is_held
    )
    cleared = [
        part
        for part, is_cleared in (
            ("svv", found.clears_values),
            ("mlp", found.clears_mlp),
            ("mlp_pre_norm", found.clears_mlp_pre_norm),
        )
        if is_cleared
    ]
    return held, cleared


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("none", ("", [])),
        ("q", ("q", [])),
        ("qk", ("qk", [])),
        ("ov", ("v", [])),
        ("svv", ("", ["svv"])),
        ("mlp_pre_norm", ("", ["mlp_pre_norm"])),
        ("qk+mlp", ("qk", ["mlp"])),
        ("q+ov+mlp", ("qv", ["mlp"])),
    ],
)
def test_parts_are_held_or_cleared(name, expected):
    assert flags(name) == expected


def test_only_held_parts_need_a_base_run():
    needs = {name: parse_ablation(name).needs_base for name in ("none", "svv", "mlp", "k", "ov", "svv+k")}
    assert [name for name, needed in needs.items() if needed] == ["k", "ov", "svv+k"]


def test_without_nodes_every_block_is_meant():
    assert heads_of(parse_ablation("qk"), layer=1, n_layers=3, n_heads=2).all()
    assert not heads_of(parse_ablation("mlp"), layer=1, n_layers=3, n_heads=2).any()
    assert mlps_of(parse_ablation("mlp"), layer=1, n_layers=3).all()
    assert not mlps_of(parse_ablation("qk"), layer=1, n_layers=3).any()


def test_nodes_choose_heads_and_mlps():
    ablation = parse_ablation("ov+mlp@a1,a2.h1,m2")
    expected = np.array([[True, True], [False, True]])
    assert np.array_equal(heads_of(ablation, layer=1, n_layers=3, n_heads=2), expected)
    assert mlps_of(ablation, layer=1, n_layers=3).tolist() == [False, True]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("svvs", "'svvs' is unknown, did you mean 'svv'?"),
        ("freeze", "'freeze' is unknown, known: none, q, k, qk, ov, svv, mlp, mlp_pre_norm"),
        ("none+qk", "'none' is unknown"),
        ("ov+svv", "ov and svv change the same input"),
        ("mlp+mlp_pre_norm", "mlp and mlp_pre_norm change the same input"),
        ("ov@head3", "'head3' is no node; expected a5, a5.h1 or m5"),
        ("ov@m3.h1", "'m3.h1' is no node"),
        ("ov@a3,m3", "no part of it touches m3"),
        ("ov+mlp@a3", "a part of it has no node; expected one like m5"),
        ("none@a3", "no part of it touches a3"),
    ],
)
def test_what_is_no_ablation_is_refused_in_one_line(name, message):
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        parse_ablation(name)
    assert "\n" not in str(caught.value)
