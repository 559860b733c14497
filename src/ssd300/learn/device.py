"""Where and how the arithmetic runs: device, number type, memory layout, the C allocator, processes."""

import ctypes
import os
import platform
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist

from ssd300.errors import ArgumentError, unknown_name
from ssd300.runtime.cpu import default_threads

PRECISIONS = ("auto", "f32", "bf16", "f16")
_MOST_READERS = 16  # each decodes and augments about 200 to 300 pictures a second
_DTYPES = {"bf16": torch.bfloat16, "f16": torch.float16}
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4


@dataclass(frozen=True)
class Compute:
    """The device of a run, and this process's place among the others (rank of world)."""

    device: torch.device
    precision: str
    rank: int = 0
    world: int = 1

    def reading_processes(self) -> int:
        """How many processes should read pictures for this one: a CPU needs its cores for the step, a GPU is hungry."""
        if self.device.type == "cpu":
            return 1
        local = int(os.environ.get("LOCAL_WORLD_SIZE", 1))
        return max(1, min(_MOST_READERS, default_threads() // local - 1))

    def autocast(self) -> torch.autocast:
        return autocast(self.device, self.precision)

    def mean(self, value: torch.Tensor) -> torch.Tensor:
        """The mean of a number over all processes."""
        if self.world > 1:
            dist.all_reduce(value)
            value = value / self.world
        return value

    def any(self, true_here: bool) -> bool:
        """Whether it is true in any process."""
        return self.mean(torch.tensor(float(true_here), device=self.device)).item() > 0 if self.world > 1 else true_here


def choose_compute(device: str = "auto", precision: str = "auto") -> Compute:
    """Resolve "auto": CUDA if there is one, and the precision of `choose_precision`.

    Under torchrun (RANK and WORLD_SIZE in the environment) joins the process group: nccl on CUDA, gloo on CPUs.
    """
    kind = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    if kind == "cuda":
        kind = f"cuda:{os.environ.get('LOCAL_RANK', 0)}"
    chosen = checked_device(kind)
    if chosen.type == "cuda":
        torch.cuda.set_device(chosen)
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    if world > 1 and not dist.is_initialized():
        # The others wait for the first one while it measures; torch's 10 or 30 minutes end a run on a large set.
        dist.init_process_group("nccl" if chosen.type == "cuda" else "gloo", timeout=timedelta(hours=12))
    return Compute(chosen, choose_precision(chosen, precision), rank, world)


def checked_device(name: str) -> torch.device:
    """A device that is there."""
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ArgumentError(f"device is {name!r}: expected cpu, cuda, cuda:1, ...") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ArgumentError(f"device is {name!r}, but this torch ({torch.__version__}) sees no CUDA device: use 'cpu'")
    return device


def choose_precision(device: torch.device, precision: str) -> str:
    """Resolve "auto": bf16 where the hardware has it, else f16 on CUDA and f32 on a CPU."""
    if precision not in PRECISIONS:
        raise unknown_name("precision of torch", precision, PRECISIONS)
    if precision == "f16" and device.type == "cpu":
        raise ArgumentError("precision f16 is for CUDA: on a CPU use bf16 (where it has it) or f32")
    if precision != "auto":
        return precision
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "f16"
    return "bf16" if cpu_has_bf16() else "f32"


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """The context in which a network computes in that precision; it does nothing for f32."""
    dtype = _DTYPES.get(precision)
    return torch.autocast(device.type, dtype=dtype or torch.bfloat16, enabled=dtype is not None)


def cpu_has_bf16() -> bool:
    """Whether this CPU multiplies bfloat16 itself (AVX512_BF16 or AMX); emulated it would be slower than float32."""
    return bool(torch.cpu._is_avx512_bf16_supported())


def keep_freed_memory() -> bool:
    """Tell glibc to keep large freed blocks. False where that is not possible (no glibc).

    By default it hands every large activation back to the kernel and faults it in again, page by page, at the next
    step. Call before the first tensor is made; the effect is on the whole process.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    # -1 becomes the largest size_t: never trim.
    return all([mallopt(_M_MMAP_MAX, 0), mallopt(_M_TRIM_THRESHOLD, -1), mallopt(_M_TOP_PAD, 1 << 28)])
