"""The engine computes what the network computes, only faster, and always the same."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from copy import deepcopy
from functools import lru_cache
from typing import cast

import numpy as np
import pytest
import torch
from SIFALib.models.architectures import Architecture, multiply_accumulates
from SIFALib.networks import devices, engine
from SIFALib.networks.arrays import to_numpy, to_tensor
from SIFALib.networks.fused import FusedNetwork, fuse
from SIFALib.networks.layers import ConvNorm
from SIFALib.networks.segmenter import Segmenter
from SIFALib.support.errors import OutOfMemory

CPU = torch.device("cpu")
Setter = Callable[[int], None]


@pytest.fixture(autouse=True)
def torch_threads() -> Iterator[Setter]:
    """One thread, or what a test sets; gives the number back afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield torch.set_num_threads
    torch.set_num_threads(before)


def trained(variant: str = "tmi2020", width: int = 4) -> Segmenter:
    """A network whose statistics, scales and offsets all matter and whose logits are far from zero."""
    return deepcopy(_trained(variant, width))


@lru_cache
def _trained(variant: str, width: int) -> Segmenter:
    torch.manual_seed(11)
    segmenter = Segmenter(variant, width).eval()
    with torch.no_grad():
        for module in segmenter.modules():
            if isinstance(module, torch.nn.Conv2d):
                torch.nn.init.kaiming_normal_(module.weight)
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_(0.0, 0.2)
                module.running_var.uniform_(1.0, 3.0)
                module.weight.uniform_(0.7, 1.3)
                module.bias.normal_(0.0, 0.2)
    return segmenter


def slices(count: int, height: int = 48, width: int = 64) -> np.ndarray:
    return np.random.default_rng(5).uniform(-1, 1, (count, height, width)).astype(np.float32)


def expected(segmenter: Segmenter, batch: np.ndarray) -> np.ndarray:
    x = to_tensor(batch)[:, None].repeat(1, segmenter.in_channels, 1, 1)
    with torch.inference_mode():
        return to_numpy(segmenter(x).softmax(dim=1))


SIDES = [(8, 8), (16, 32), (40, 24), (48, 56)]


@pytest.mark.rounding
@pytest.mark.parametrize(
    ("variant", "height", "width"),
    [*(("tmi2020", *s) for s in SIDES), *(("aaai2019", *s) for s in SIDES), ("unet", 16, 16), ("unet", 48, 32)],
)
def test_probabilities_are_those_of_the_network(variant: str, height: int, width: int) -> None:
    """(16, 32) has an even coarse grid, where dilated blocks are split; (40, 24) and (8, 8) an odd one."""
    segmenter = trained(variant)
    batch = slices(3, height, width)
    probabilities = engine.prepare(segmenter, CPU).probabilities(batch)
    assert probabilities.dtype == np.float32
    assert probabilities.shape == (3, 5, height, width)
    reference = expected(segmenter, batch)
    assert reference.max() - reference.min() > 0.05  # the comparison is about something
    np.testing.assert_allclose(probabilities, reference, atol=1e-5)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, atol=1e-5)


@pytest.mark.rounding
def test_a_fused_layer_equals_the_layer() -> None:
    for layer in trained().encoder.modules():
        if isinstance(layer, ConvNorm):
            kernel, bias = fuse(layer)
            x = torch.randn(1, layer.conv.in_channels, 12, 12)
            conv = layer.conv
            fused = torch.nn.functional.conv2d(x.double(), kernel, bias, padding=conv.padding, dilation=conv.dilation)
            assert torch.allclose(fused.float(), layer(x), atol=1e-5, rtol=1e-5)


@pytest.mark.rounding
def test_preparing_leaves_the_segmenter_as_it_is() -> None:
    segmenter = trained().train()
    before = {key: value.clone() for key, value in segmenter.state_dict().items()}
    prepared = engine.prepare(segmenter, CPU)
    first = prepared.probabilities(slices(1))
    assert segmenter.training
    with torch.no_grad():
        for key, value in segmenter.state_dict().items():
            assert torch.equal(value, before[key])
            value.zero_()
    np.testing.assert_array_equal(prepared.probabilities(slices(1)), first)


@pytest.mark.parametrize("width", [4, 8, 16])
def test_batch_size_and_thread_count_change_not_a_single_bit(torch_threads: Setter, width: int) -> None:
    segmenter, batch = trained(width=width), slices(6)
    alone = None
    for threads in (1, 2, 3):
        torch_threads(threads)
        prepared = engine.prepare(segmenter, CPU)
        for size in (1, 2, 6):
            parts = np.concatenate([prepared.probabilities(batch[n : n + size]) for n in range(0, 6, size)])
            alone = parts if alone is None else alone
            np.testing.assert_array_equal(parts, alone)
        torch_threads(4)  # whatever is set later, here or anywhere
        np.testing.assert_array_equal(prepared.probabilities(batch), alone)


def test_the_number_of_threads_is_left_as_it_was_here_and_for_new_threads(torch_threads: Setter) -> None:
    torch_threads(3)
    prepared = engine.prepare(trained(), CPU)
    prepared.probabilities(slices(4))
    seen = []
    watcher = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
    watcher.start()
    watcher.join()
    assert torch.get_num_threads() == 3
    assert seen == [3]


def test_slices_change_no_number_of_threads_even_while_they_are_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    prepared = engine.prepare(trained(), CPU)

    def refuse(number: int) -> None:
        raise AssertionError(f"set to {number}")

    monkeypatch.setattr(torch, "set_num_threads", refuse)
    assert prepared.probabilities(slices(4)).shape == (4, 5, 48, 64)
    monkeypatch.undo()


def test_torch_threads_are_their_own(torch_threads: Setter) -> None:
    """What an engine is built on: a number that one thread sets is not that of threads which run already."""
    torch_threads(3)
    seen, running, go_on = [], threading.Event(), threading.Event()

    def run() -> None:
        seen.append(torch.get_num_threads())
        running.set()
        go_on.wait(60)
        seen.append(torch.get_num_threads())

    other = threading.Thread(target=run)
    other.start()
    running.wait(60)
    single = threading.Thread(target=lambda: (torch.get_num_threads(), torch.set_num_threads(1)))
    single.start()
    single.join()
    go_on.set()
    other.join()
    assert seen == [3, 3] and torch.get_num_threads() == 3


def test_the_threads_of_an_engine_end_with_it(torch_threads: Setter) -> None:
    torch_threads(2)
    before = set(threading.enumerate())
    prepared = engine.prepare(trained(), CPU)
    own = set(threading.enumerate()) - before
    assert len(own) == 2
    del prepared
    for thread in own:
        thread.join(60)
        assert not thread.is_alive()


@pytest.mark.rounding
@pytest.mark.parametrize("kind", ["float64", "float16", "int16", "flipped", "read-only"])
def test_slices_of_any_type_and_memory_are_computed_alike(kind: str) -> None:
    prepared = engine.prepare(trained(), CPU)
    batch = plain = np.sign(slices(2))  # -1 and 1 exist in all types
    if kind == "flipped":
        batch = plain[:, ::-1].copy()[:, ::-1]
    elif kind == "read-only":
        batch = plain.copy()
        batch.flags.writeable = False
    else:
        batch = plain.astype(kind)
    np.testing.assert_array_equal(prepared.probabilities(batch), prepared.probabilities(plain))
    assert prepared.probabilities(batch[:0]).shape == (0, 5, 48, 64)


@pytest.mark.parametrize(
    ("shape", "message"), [((2, 20, 24), "multiples of 8"), ((48, 64), r"\[N, H, W\]"), ((1, 1, 8, 8), r"\[N, H, W\]")]
)
def test_wrong_slices_are_refused_in_a_sentence(shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        engine.prepare(trained(), CPU).probabilities(np.zeros(shape, np.float32))


def test_a_batch_that_needs_more_memory_than_there_is_says_so() -> None:
    prepared = engine.prepare(trained(), CPU)
    endless = np.broadcast_to(np.zeros((1, 1), np.float32), (2, 8 << 20, 8 << 20))  # half a petabyte
    with pytest.raises(OutOfMemory, match=r"2 slice.*memory of the device 'cpu'") as caught:
        prepared.probabilities(endless)
    assert caught.value.batch == 2


def test_an_error_inside_of_a_thread_reaches_the_caller(torch_threads: Setter) -> None:
    torch_threads(2)
    prepared = engine.prepare(trained(), CPU)
    del prepared.network.kernels["r7.c1"]
    with pytest.raises(KeyError, match="r7"):
        prepared.probabilities(slices(4))
    assert torch.get_num_threads() == 2


def test_auto_is_a_device_that_computes() -> None:
    device = devices.choose_device("auto")
    assert torch.ones(2, device=device).sum().item() == 2.0
    assert devices.choose_device("cpu") == CPU


@pytest.mark.parametrize("name", ["tpu", "gpu", "cuda:x", "cpu:", "", "cuda:-1", "cuda:99"])
def test_a_device_that_does_not_exist_or_that_this_computer_lacks_is_refused_by_name(name: str) -> None:
    lacks = r"'cuda:99': it finds .*CUDA device.*Choose auto or cpu"
    with pytest.raises(ValueError, match=lacks if name == "cuda:99" else f"no device '{name}'; choose auto, cpu, cuda"):
        devices.choose_device(name)


def test_precision_follows_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    assert devices.choose_precision("float32", CPU) == torch.float32
    monkeypatch.setattr(devices, "_cpu_has_bfloat16", lambda: False)
    assert devices.choose_precision("auto", CPU) == torch.float32
    with pytest.raises(ValueError, match=r"far slower in bfloat16.*choose auto or float32"):
        devices.choose_precision("bfloat16", CPU)
    monkeypatch.setattr(devices, "_cpu_has_bfloat16", lambda: True)
    assert devices.choose_precision("auto", CPU) == torch.bfloat16
    assert devices.choose_precision("auto", torch.device("mps")) == torch.float32
    with pytest.raises(ValueError, match=r"'mps' is not made for bfloat16; choose auto or float32\."):
        devices.choose_precision("bfloat16", torch.device("mps"))
    with pytest.raises(ValueError, match="no precision 'half'"):
        devices.choose_precision("half", CPU)


@pytest.mark.parametrize(("capability", "dtype"), [((7, 5), torch.float32), ((8, 0), torch.bfloat16)])
def test_precision_follows_the_cuda_generation(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], dtype: torch.dtype
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    device = torch.device("cuda")
    assert devices.choose_precision("auto", device) == dtype
    if dtype == torch.float32:
        with pytest.raises(ValueError, match=r"'cuda' is not made for bfloat16; choose auto or float32\."):
            devices.choose_precision("bfloat16", device)
    else:
        assert devices.choose_precision("bfloat16", device) == dtype


@pytest.mark.parametrize("tf32", [True, False])
@pytest.mark.parametrize("error", [None, KeyError("r7")])
def test_a_gpu_computes_float32_in_float32_and_the_settings_of_torch_stay(tf32: bool, error: Exception | None) -> None:
    """The device "meta" stands for the GPU: what counts is what torch is set to while the network runs."""
    names = ("enabled", "benchmark", "deterministic", "allow_tf32")
    settings = torch.backends.cudnn
    seen = []

    def network(images: torch.Tensor) -> torch.Tensor:
        seen.append(tuple(getattr(settings, name) for name in names))
        if error:
            raise error
        return torch.zeros(len(images), 5, *images.shape[2:])

    real = engine.prepare(trained(width=2), CPU)
    gpu = dataclasses.replace(real, device=torch.device("meta"), network=cast(FusedNetwork, network))
    with settings.flags(enabled=True, benchmark=True, deterministic=False, allow_tf32=tf32):
        before = tuple(getattr(settings, name) for name in names)
        with pytest.raises(KeyError) if error else nullcontext():
            gpu.probabilities(slices(2))
        assert tuple(getattr(settings, name) for name in names) == before == (True, True, False, tf32)
    assert seen == [(True, False, True, False)]


@pytest.fixture
def no_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The suite itself may run with oneDNN held to older instructions."""
    for name in devices.ISA_LIMITS:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("no_limit")
@pytest.mark.parametrize(
    ("limit", "allowed"),
    [("", True), ("AVX2", False), ("avx2", False), ("SSE41", False), ("AVX512_CORE", False),
     ("AVX512_CORE_VNNI", False), ("AVX512_CORE_BF16", True), ("AVX512_CORE_AMX", True), ("ALL", True),
     ("no such name", True)],
)  # fmt: skip
def test_where_onednn_is_held_to_older_instructions_bfloat16_is_not_fast(
    monkeypatch: pytest.MonkeyPatch, limit: str, allowed: bool
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True, raising=False)
    for name in devices.ISA_LIMITS:
        with monkeypatch.context() as at_a_time:
            at_a_time.setenv(name, limit)
            assert devices._cpu_has_bfloat16() is allowed
            assert devices.choose_precision("auto", CPU) == (torch.bfloat16 if allowed else torch.float32)


@pytest.mark.usefixtures("no_limit")
def test_of_two_limits_the_newer_name_counts_unless_it_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True, raising=False)
    monkeypatch.setenv("DNNL_MAX_CPU_ISA", "AVX2")
    for limit, allowed in (("", False), ("AVX512_CORE_BF16", True)):
        monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", limit)
        assert devices._cpu_has_bfloat16() is allowed


@pytest.mark.usefixtures("no_limit")
def test_an_old_torch_without_the_helpers_asks_the_system(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    for helper in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.delattr(torch.cpu, helper, raising=False)
    cpuinfo = tmp_path / "cpuinfo"
    monkeypatch.setattr(devices, "CPU_INFO", cpuinfo)
    assert not devices._cpu_has_bfloat16()
    cpuinfo.write_text("processor : 0\nflags\t\t: fpu avx2 avx512f\n")
    assert not devices._cpu_has_bfloat16()
    cpuinfo.write_text("processor : 0\nflags\t\t: fpu avx2 avx512_bf16\n")
    assert devices._cpu_has_bfloat16()


@pytest.mark.rounding
def test_bfloat16_where_asked_for_stays_near_float32() -> None:
    """Without the hardware this is slow, so tiny; the last steps stay in float32."""
    segmenter = trained(width=2)
    batch = slices(1, 16, 16)
    rough = engine.prepare(segmenter, CPU, torch.bfloat16).probabilities(batch)
    assert rough.dtype == np.float32
    np.testing.assert_allclose(rough.sum(axis=1), 1.0, atol=1e-5)
    fine = engine.prepare(segmenter, CPU).probabilities(batch)
    assert 0 < np.abs(rough - fine).mean() < 0.05


def test_the_work_of_a_slice_is_the_papers() -> None:
    """29,117,906,944 multiply-accumulates of the encoder and 2,621,440 of the head at 256 x 256."""
    assert multiply_accumulates(Architecture.of("tmi2020", 16, 5)) * 256**2 == 29_117_906_944 + 2_621_440


def test_batches_keep_all_threads_busy_and_calls_short(torch_threads: Setter) -> None:
    torch_threads(4)
    compact = engine.prepare(trained(width=8), CPU)
    assert compact.batch_size(192, 192) % 4 == 0
    assert compact.batch_size(192, 192) >= 4
    assert compact.batch_size(1024, 1024) == 4
    assert compact.batch_size(16, 16) > compact.batch_size(192, 192)


def test_a_thread_that_cannot_be_started_is_an_error_not_a_standstill(
    torch_threads: Setter, monkeypatch: pytest.MonkeyPatch
) -> None:
    segmenter = trained()
    torch_threads(2)
    start, started = threading.Thread.start, []

    def only_one(thread: threading.Thread) -> None:
        if started:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", only_one)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        engine.prepare(segmenter, CPU)
    assert torch.get_num_threads() == 2
