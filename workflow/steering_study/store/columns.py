"""Columns that tables of several stages share: where a row stands, what it rests on, the ends of an interval."""

from __future__ import annotations

from steering_study.store.schema import boolean, integer, number, string

MODEL = string("name of the model")
METHOD = string("vector that steers (dim, ntp, po, controls random and shuffled), or none")
CONDITION = string(
    "direction of steering - induce (refusal, on harmless prompts), bypass (of refusal, on harmful ones), base (none)"
)
DATASET = string("test set of the prompts")
SPLIT = string("of the prompts - train, validation, test, augmentation")
LABEL = string("of the prompt - harmful or harmless")
PROMPT_ID = string("id of the prompt in the study's prompts table")
LAYER = integer("block before which the vector is added, counted from 0; -1 where nothing is steered")
COEFFICIENT = number("multiplier of the vector")
SETTING = integer("row of the run's settings; 0 where a run has one alone")
N = integer("texts, responses or edges that the row rests on")
JUDGE = string("who says whether a text refuses")
LOW = number("lower end of its interval; empty where there is none")
HIGH = number("upper end of its interval; empty where there is none")
ATTACK_SUCCESS = number("attack success rate, share of texts that the judge does not call a refusal")
FLIP_RATE = number("share of prompts whose behaviour steering turns, in readable text")
DEGENERATE_RATE = number("share of texts that loop or cannot be read")
ABLATION = string("activation that is held at the base run, or cleared of the vector")
N_POSITIONS = integer("response positions at which the predictions of both runs differ")
NOMINAL_EDGES = integer("edges asked for")
N_EDGES = integer("edges of the circuit")
DRAW = integer("number of the random draw, from 0")
RANK = integer("place, from 1")
METHOD_A = string("first method of the pair")
METHOD_B = string("second method of the pair")
PROMPT = string("the prompt, before the chat template")
SELECTED = boolean("whether the study chose this row")
