"""Device, precision, processes and the C allocator of a training run."""

import ctypes
import os
import platform
import sys
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import torch
import torch.distributed as dist

from ssd300.cpu import default_threads
from ssd300.digits import whole_number
from ssd300.errors import ArgumentError, TrainingError, unknown_name
from ssd300.runtime.load import device_name

_Value = TypeVar("_Value")

TORCH_PRECISIONS = ("auto", "f32", "bf16", "f16")
_MOST_READERS = 16  # each decodes and augments about 200 to 300 pictures per second
_DTYPES = {"bf16": torch.bfloat16, "f16": torch.float16}
GROWTH = 1.5  # largest ratio to the memory after the first steps
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4


@dataclass(frozen=True)
class Compute:
    """The device of a run, and the rank of this process among `world` processes."""

    device: torch.device
    precision: str
    rank: int = 0
    world: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes the folder of the run."""
        return self.rank == 0

    def reading_processes(self) -> int:
        """The number of processes that read pictures for this one: few if the CPU trains, which needs its cores."""
        if self.device.type == "cpu":
            return 1
        local = (self.world > 1 and _from_torchrun("LOCAL_WORLD_SIZE")) or 1
        return max(1, min(_MOST_READERS, default_threads() // local - 1))

    def autocast(self) -> torch.autocast:
        return autocast(self.device, self.precision)

    def mean(self, value: torch.Tensor) -> torch.Tensor:
        """The mean of a number over all processes."""
        if self.world > 1:
            dist.all_reduce(value)
            value = value / self.world
        return value

    def of_first(self, value: _Value) -> _Value:
        """The value of the first process, in all of them."""
        if self.world == 1:
            return value
        shared = [value]
        dist.broadcast_object_list(shared, 0)
        return shared[0]

    def any(self, true_here: bool) -> bool:
        """Whether it is true in any process."""
        return self.mean(torch.tensor(float(true_here), device=self.device)).item() > 0 if self.world > 1 else true_here


def choose_compute(device: str = "auto", precision: str = "auto") -> Compute:
    """Resolve "auto": CUDA if there is one, and the precision of `choose_precision`.

    Under torchrun (RANK and WORLD_SIZE in the environment) joins the process group: nccl on CUDA, gloo on CPUs.
    """
    rank, world = rank_and_world()
    kind = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device_name(device)
    if kind == "cuda":
        kind = f"cuda:{(world > 1 and _from_torchrun('LOCAL_RANK')) or 0}"
    chosen = check_device(kind)
    if chosen.type == "cuda":
        torch.cuda.set_device(chosen)
    heed_quota()
    # A process's first exp by several threads at once may round some values differently; this one is of one thread.
    torch.ones(1).exp()
    if world > 1 and not dist.is_initialized():
        # The others wait for the first one during validation; torch's default of 10 or 30 minutes ends a run on a
        # large set.
        try:
            dist.init_process_group("nccl" if chosen.type == "cuda" else "gloo", timeout=timedelta(hours=12))
        except (RuntimeError, ValueError) as error:
            raise TrainingError(
                f"WORLD_SIZE is {world}, and this process cannot join the others ({str(error).splitlines()[0]}): "
                "start all of them with torchrun, or unset WORLD_SIZE to train in this one alone"
            ) from error
    return Compute(chosen, choose_precision(chosen, precision), rank, world)


def heed_quota() -> None:
    """Lower torch's threads to the CPU quota of a container, which torch does not know: more only wait for each other.

    A number in OMP_NUM_THREADS stays.
    """
    if torch.get_num_threads() > default_threads() and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(default_threads())


def rank_and_world() -> tuple[int, int]:
    """The rank of this process and the number of processes, as torchrun sets them: (0, 1) without it.

    Without WORLD_SIZE, RANK and LOCAL_RANK are another program's: a process of rank 1 alone would write nothing.
    """
    world = _from_torchrun("WORLD_SIZE") or 1
    return (_from_torchrun("RANK") or 0) if world > 1 else 0, world


def _from_torchrun(variable: str) -> int | None:
    return whole_number(os.environ.get(variable, ""))


def check_device(name: str) -> torch.device:
    """The device of this name. Raises ArgumentError if this torch cannot compute on it."""
    device = torch.device(device_name(name))
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ArgumentError(f"device is {name!r}, but this torch ({torch.__version__}) sees no CUDA device: use 'cpu'")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ArgumentError(
            f"device is {name!r}, but there are {torch.cuda.device_count()} CUDA devices, from cuda:0 on"
        )
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:  # torch's error depends on the device
        said = (str(error).strip().splitlines() or [type(error).__name__])[0].partition(". ")[0]
        found = f"this torch ({torch.__version__}) cannot use it ({said})"
        raise ArgumentError(f"device is {name!r}, but {found}: use 'cpu'") from error
    return device


def choose_precision(device: torch.device, precision: str) -> str:
    """Resolve "auto": bf16 if the hardware has it, else f16 on CUDA and f32 on a CPU."""
    if precision not in TORCH_PRECISIONS:
        raise unknown_name("precision of torch", precision, TORCH_PRECISIONS)
    if precision == "f16" and device.type == "cpu":
        raise ArgumentError("precision f16 is for CUDA: on a CPU use bf16 (where it has it) or f32")
    if precision != "auto":
        return precision
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "f16"
    # AVX512_BF16 or AMX: emulation is slower than float32.
    return "bf16" if torch.cpu._is_avx512_bf16_supported() else "f32"


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """The context in which a network computes in that precision; it does nothing for f32."""
    dtype = _DTYPES.get(precision)
    return torch.autocast(device.type, dtype=dtype or torch.bfloat16, enabled=dtype is not None)


def keep_freed_memory() -> bool:
    """Tell glibc to keep large freed blocks. False if that is not possible (no glibc).

    By default it returns every large activation to the kernel and faults it in again, page by page, in the next
    step. Call before the first tensor is created; the effect is on the whole process. Fragmentation makes the kept
    memory grow without limit: `FreedMemory` bounds it.
    """
    if sys.platform != "linux" or platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    # -1 becomes the largest size_t: never trim.
    return all([mallopt(_M_MMAP_MAX, 0), mallopt(_M_TRIM_THRESHOLD, -1), mallopt(_M_TOP_PAD, 1 << 28)])


class FreedMemory:
    """Bounds what `keep_freed_memory` keeps: when the process has grown by half, all free memory is returned.

    The next step then has page faults again, once. Without effect if the memory of the process cannot be read.
    """

    def __init__(self) -> None:
        self.baseline = 0  # bytes of the process after its first steps

    def check(self) -> bool:
        """Call between steps. Returns True if memory was returned to the system."""
        resident = resident_bytes()
        if resident is None:
            return False
        if not self.baseline:
            self.baseline = resident
        if resident < GROWTH * self.baseline:
            return False
        self.baseline = 0  # measured again: larger pictures need more
        return bool(ctypes.CDLL(None).malloc_trim(0))


def resident_bytes() -> int | None:
    """The memory in use by this process; None unless it runs glibc on Linux."""
    if sys.platform != "linux" or platform.libc_ver()[0] != "glibc":
        return None
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
