"""`shortlist train`: items and interactions -> a model folder."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from cli.flags.encoder import add_languages_flag, encoder_languages
from cli.flags.files import add_file_flags, file_options_of, text_attributes_of
from domain.user_cache import user_cache

if TYPE_CHECKING:
    from collections.abc import Mapping

    from _typeshed import DataclassInstance

    from domain.progress import Progress
    from domain.release_folder import ReleaseFolder
    from training.run.dataset import BaseEncoder, TrainingData

HELP = "train on interactions: encoder, user tower, collaborative models, ranker"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares what `shortlist train` takes."""
    data = parser.add_argument_group("data")
    data.add_argument("--items", type=Path, metavar="FILE", help="as in `shortlist release build`; none: ids alone")
    data.add_argument(
        "--interactions",
        type=Path,
        metavar="FILE",
        help=".csv, .tsv, .inter, .jsonl, .json (also .gz) or .parquet; none: the encoder is adapted to the item texts",
    )
    data.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="the model folder; resumed if begun before"
    )
    data.add_argument(
        "--protocol",
        choices=("cold-items", "warm-users", "next-item"),
        help="hold this protocol's test part out, to evaluate the model with `shortlist evaluate --protocol` "
        "(default: train on everything but a small validation part)",
    )
    data.add_argument("--seed", type=int, default=42, help="of the split and of every training (%(default)s)")
    data.add_argument(
        "--positive-rating",
        type=float,
        metavar="R",
        help="ratings from here on are positive (default: 80 %% of the highest)",
    )
    data.add_argument(
        "--text-attributes",
        metavar="A,B",
        help="attributes in the item texts (default: common ones and long texts; `shortlist check` names them)",
    )
    add_file_flags(parser)
    training = parser.add_argument_group("training")
    training.add_argument(
        "--preset", default="default", metavar="NAME|FILE", help="settings of every part (%(default)s)"
    )
    training.add_argument(
        "--set", action="append", default=[], metavar="PART.SETTING=VALUE", help="changes one setting"
    )
    which = training.add_mutually_exclusive_group()
    which.add_argument("--only", metavar="A,B", help="run these steps alone")
    which.add_argument("--skip", metavar="A,B", help="run all steps but these")
    training.add_argument(
        "--encoder", metavar="NAME|DIR", help="text encoder to start from (default: all-MiniLM-L6-v2)"
    )
    add_languages_flag(training)
    training.add_argument(
        "--from",
        dest="warm_from",
        type=Path,
        metavar="DIR",
        help="start encoder and user tower from those of this model folder, or of a release built from one",
    )
    training.add_argument(
        "--against",
        metavar="RELEASE",
        help="the release to be replaced, a folder or an id in releases/: both are evaluated on the validation part, "
        "and `shortlist release build` refuses the model where it is worse (default: the release of --from)",
    )
    training.add_argument(
        "--cache",
        type=Path,
        default=user_cache("vectors"),
        metavar="DIR",
        help="item vectors of earlier runs (%(default)s)",
    )
    training.add_argument(
        "--memory",
        metavar="SIZE",
        help="limit, for example 2G: settings with large arrays are lowered to fit, data that cannot fit is refused",
    )
    training.add_argument(
        "--search", type=int, default=0, metavar="N", help="try N settings of each part of --only and keep the best"
    )


def run(args: argparse.Namespace) -> int:
    """Trains, or goes on with a run that was interrupted; returns 0. Under `torchrun` the first process does that."""
    from training.processes import joined, leave, tasks

    status = 0
    with joined() as first:
        if first:
            status = _learn(args) if args.interactions is not None else _adapt(args)
        else:
            _quiet_libraries()
            for task in tasks():
                task()
    return leave(status)


def _adapt(args: argparse.Namespace) -> int:
    """Adapts the encoder to the item texts, without interactions."""
    from datafiles.items import read_items
    from training.encoder.adaptation import AdaptationSettings
    from training.recipe import SECTIONS
    from training.run.adapt import NAME, AdaptationItems, adapt_run, check_words
    from training.run.folder import RunFolder, digest, write_json
    from training.run.log import RunLog
    from training.run.preset import read_preset
    from training.run.runner import quality_of

    only = args.only if args.only != NAME else None
    flags = {
        "--protocol": args.protocol,
        "--only": only,
        "--skip": args.skip,
        "--search": args.search,
        "--from": args.warm_from,
        "--against": args.against,
    }
    check_words(args.items, flags)
    settings = read_preset(args.preset, args.set, {**SECTIONS, NAME: AdaptationSettings})[NAME]
    assert isinstance(settings, AdaptationSettings)
    with RunFolder(args.out).open() as folder, RunLog(args.out, _print) as log:
        catalogue = read_items(args.items, file_options_of(args)).items
        items = AdaptationItems(args.items, catalogue, text_attributes_of(args.text_attributes))
        summary = adapt_run(items, _base_encoder(args), folder, settings, (args.seed, log))
        data = {"items_sha256": digest(args.items), "seed": args.seed}
        write_json(args.out / "quality.json", quality_of(summary, NAME, data))
    record = summary.steps[NAME]
    metrics = ", ".join(f"{name.replace('_', ' ')} {value:.4f}" for name, value in record.metrics.items())
    _print(f"{args.out}: {'kept the encoder' if record.accepted else 'kept nothing'}; {metrics}")
    return 0


def _learn(args: argparse.Namespace) -> int:
    """Trains every part that the interactions allow."""
    import dataclasses

    from domain.errors import TrainingRefused
    from training.recipe import SECTIONS, check_warm_start, searched, steps_of
    from training.run.folder import RunFolder, write_json
    from training.run.load import DataRequest, load_data
    from training.run.log import RunLog
    from training.run.memory import read_size
    from training.run.preset import read_preset, settings_to_json
    from training.run.runner import quality_of, run_steps, without
    from training.run.warm_start import open_warm_start, split_identity

    settings = read_preset(args.preset, args.set, SECTIONS)
    memory = None if args.memory is None else read_size(args.memory)
    only = _names(args.only)
    without(steps_of(settings), _names(args.skip))  # a wrong name is refused before the data is read
    request = DataRequest(
        args.items,
        args.interactions,
        args.protocol,
        args.seed,
        args.positive_rating,
        file_options_of(args),
        text_attributes_of(args.text_attributes),
    )
    start = open_warm_start(args.warm_from, args.out, only) if args.warm_from else None
    replaced = _replaced_release(args)
    with RunFolder(args.out).open() as folder, RunLog(args.out, _print) as log:
        _print("data")
        loaded = load_data(request, lambda: _base_encoder(args), args.out, args.cache, log)
        if folder.facts and folder.facts.get("data_key") != loaded.data.key:
            raise TrainingRefused(
                f"{args.out} was begun with other data, another protocol or another seed; give another --out"
            )
        write_json(args.out / "data.json", dataclasses.asdict(loaded.report))
        split, training_data = loaded.split_facts(request), loaded.data
        facts: dict[str, object] = {
            "data_key": training_data.key,
            "split": split,
            "text": training_data.text_record,
        }
        if start is not None:
            start = start.compared_with(split)
            training_data = dataclasses.replace(training_data, warm_start=start)
            check_warm_start(settings, only, training_data)
            facts["from"] = start.facts()
        settings = settings if memory is None else _within(memory, settings, training_data, log)
        folder.record(facts, settings_to_json(settings))
        if args.search:
            settings = searched(settings, only, training_data, args.search)
            folder.record(facts, settings_to_json(settings))
        steps = without(steps_of(settings), _names(args.skip))
        summary = run_steps(steps, training_data, folder, only, log.step)
        measured = split_identity(split)
        if start is not None and not start.same_split:  # its validation metrics may be too high
            measured |= {"started_from": "other data"}
        quality = quality_of(summary, request.protocol, measured)
        if replaced is not None:
            from training.evaluation.against_release import compare_with_release

            _print("comparison with the release")
            quality["against"] = compare_with_release(training_data, split, replaced)
        write_json(args.out / "quality.json", quality)
    kept = [name for name, record in summary.steps.items() if record.accepted]
    _print(f"{args.out}: kept {', '.join(kept) or 'nothing'}")
    return 0


def _within(
    memory: float, settings: "Mapping[str, DataclassInstance]", data: "TrainingData", log: "Progress"
) -> "dict[str, DataclassInstance]":
    """Returns the settings lowered to a limit on memory, in bytes, and says what was lowered."""
    from training.run.memory import fit_memory

    width = 0 if data.vectors is None else data.vectors.shape[1]
    fitted = fit_memory(settings, data, width, memory)
    for change in fitted.changes:
        log.step(f"    for --memory: {change}")
    return fitted.settings


def _replaced_release(args: argparse.Namespace) -> "ReleaseFolder | None":
    """Returns the release to compare with: that of --against, else that of --from where this is a release."""
    from domain.release_folder import MANIFEST, find_release, open_release

    if args.against:
        return find_release(Path("releases"), args.against)
    if args.warm_from is not None and (args.warm_from / MANIFEST).is_file():
        return open_release(args.warm_from)
    return None


def _names(words: str | None) -> list[str]:
    return [name.strip() for name in words.split(",")] if words else []


def _base_encoder(args: argparse.Namespace) -> "BaseEncoder":
    """Finds the encoder; imported late, since it brings torch along."""
    from export.encoder.source import EncoderChoice, resolve_encoder
    from training.run.dataset import BaseEncoder

    _quiet_libraries()
    source = resolve_encoder(args.encoder, EncoderChoice(languages=encoder_languages(args)))
    return BaseEncoder(source.root, source.name, source.max_tokens, source.languages)


def _quiet_libraries() -> None:
    """Keeps the libraries' own bars and reports out of the log."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()


def _print(message: str) -> None:
    print(message, flush=True)
