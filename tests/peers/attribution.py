"""Reads journeys as JSON from standard input, credits them with the packages of other people, prints what they say as one line of JSON.

A journey is {"channels": [...], "hours": [...], "value": n}: the hours from each touch to the end, and what it was worth, null where nothing was bought.
"""

import contextlib
import json
import sys

import pandas as pd
import polars as pl
from mam import MAM

# It prints an advertisement when it is imported.
with contextlib.redirect_stdout(sys.stderr):
    from ChannelAttribution import heuristic_models, markov_model


def frame(journeys):
    return {
        "journey_id": [str(place) for place in range(len(journeys))],
        "path": [" > ".join(journey["channels"]) for journey in journeys],
        "hours": [" > ".join(str(hours) for hours in journey["hours"]) for journey in journeys],
        "converted": [journey["value"] is not None for journey in journeys],
        "value": [float(journey["value"] or 0) for journey in journeys],
    }


def mam(journeys, value):
    return MAM(
        pl.DataFrame(frame(journeys)),
        format_type="journey",
        channels_colname="path",
        journey_with_conv_colname="converted",
        user_id_colname="journey_id",
        time_till_conv_colname="hours",
        conversion_value_colname=value,
    )


def credit(result):
    table = result.to_polars()
    return {str(channel): amount for channel, amount in zip(table["channels"], table["attribution"])}


def of_mam(journeys):
    models = {
        "FIRST_TOUCH": lambda one: one.run_first_click(),
        "LAST_TOUCH": lambda one: one.run_last_click(),
        "LINEAR": lambda one: one.run_linear(),
        "POSITION_BASED": lambda one: one.run_position_based(),
        "TIME_DECAY": lambda one: one.run_time_decay(half_life_hours=168.0),
        "MARKOV": lambda one: one.run_markov(),
    }
    counted, valued = mam(journeys, None), mam(journeys, "value")
    credits = {
        name: {"conversions": credit(run(counted)), "value": credit(run(valued))} for name, run in models.items()
    }
    effects = counted.run_markov().metadata["removal_effect"]["removal_effect"]
    return {"models": credits, "removal_effects": {str(channel): effect for channel, effect in effects.items()}}


def of_channel_attribution(journeys):
    table = frame(journeys)
    data = pd.DataFrame({
        "path": [path.replace(" > ", ">") for path in table["path"]],
        "conversions": [int(converted) for converted in table["converted"]],
        "losses": [int(not converted) for converted in table["converted"]],
        "value": table["value"],
    })
    found = heuristic_models(data, "path", "conversions", var_value="value", flg_pro=False)
    names = {"FIRST_TOUCH": "first_touch", "LAST_TOUCH": "last_touch", "LINEAR": "linear_touch"}
    credits = {
        model: {
            kind: dict(zip(found["channel_name"], found[f"{name}_{kind}"])) for kind in ("conversions", "value")
        }
        for model, name in names.items()
    }
    # It walks at random: many walks, long ones, always the same.
    walked = markov_model(data, "path", "conversions", var_value="value", var_null="losses", order=1, nsim_start=2_000_000,
                          max_step=1_000, seed=1, conv_par=0.01, verbose=False, flg_pro=False)
    credits["MARKOV"] = {"conversions": dict(zip(walked["channel_name"], walked["total_conversions"]))}
    return {"models": credits}


def main():
    asked = json.load(sys.stdin)
    answer = {
        "mam": of_mam(asked["journeys"]),
        "mam_of_firsts": of_mam(asked["firsts"]),
        "channel_attribution": of_channel_attribution(asked["journeys"]),
    }
    print(json.dumps(answer))


main()
