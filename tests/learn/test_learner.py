"""What a step changes, restored on any device and held where it shall not learn."""

import pytest
import torch
from torch import nn

from ssd300.errors import ArgumentError, TrainingError
from ssd300.learn.device import Compute
from ssd300.learn.learner import freeze, make_learner
from ssd300.learn.network import SSD300
from ssd300.learn.recipe import resolve_recipe
from ssd300.learn.run import Position


@pytest.mark.filterwarnings("ignore:for .*meta parameter")
def test_averages_stay_on_the_device_when_a_run_is_resumed():
    """The device "meta" stands for any that is not the CPU, where a checkpoint is read to."""
    recipe = resolve_recipe("modern")
    saved = make_learner(SSD300("resnet18", 3), recipe, Compute(torch.device("cpu"), "f32"))
    state = saved.state(Position(conditions={"data": "8 pictures"}))
    with torch.device("meta"):
        network = SSD300("resnet18", 3)
    learner = make_learner(network, recipe, Compute(torch.device("meta"), "f32"))
    learner.load(state, {"data": "8 pictures"})
    assert learner.averaged is not None
    assert {value.device.type for value in learner.averaged.module.state_dict().values()} == {"meta"}


def test_a_run_of_an_older_version_lacks_the_newest_conditions():
    learner = make_learner(SSD300("resnet18", 3), resolve_recipe("modern"), Compute(torch.device("cpu"), "f32"))
    state = learner.state(Position(conditions={"data": "8 pictures"}))
    learner.load(state, {"data": "8 pictures", "sha256 of the data": "0"})
    with pytest.raises(TrainingError, match=r"settings: data: '8 pictures' there, '9 pictures' requested; repeat its"):
        learner.load(state, {"data": "9 pictures", "sha256 of the data": "0"})


@pytest.mark.parametrize(("part", "name"), [("recipe", "mosaic"), ("progress", "epochs_of_start")])
def test_a_run_with_a_setting_of_another_version_is_refused(part, name):
    """Left out, it would be resumed with other settings without a word."""
    learner = make_learner(SSD300("resnet18", 3), resolve_recipe("modern"), Compute(torch.device("cpu"), "f32"))
    state = learner.state(Position())
    with pytest.raises(TrainingError, match=rf"another version of ssd300, as its state has {name}: resume it with"):
        learner.load(state | {part: state[part] | {name: 1}}, {})


def test_shared_batch_norms_are_refused_where_there_are_none():
    recipe = resolve_recipe("modern", sync_norm=True)
    with pytest.raises(ArgumentError, match="--sync-norm is for CUDA"):
        make_learner(SSD300("resnet18", 3), recipe, Compute(torch.device("cpu"), "f32"))


@pytest.mark.parametrize("shared", [False, True])
def test_held_statistics_are_held_in_shared_batch_norms_too(shared):
    network = SSD300("resnet18", 3)
    if shared:
        nn.SyncBatchNorm.convert_sync_batchnorm(network)
    network.train()
    freeze(network, resolve_recipe("published", freeze_norm=True))
    trunk = network.feature_extractor.feature_extractor
    norms = [module for module in trunk.modules() if isinstance(module, nn.BatchNorm2d | nn.SyncBatchNorm)]
    assert len(norms) == 15
    assert not any(norm.training for norm in norms)
