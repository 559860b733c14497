"""An interpreter of the pickle inside a torch file: nothing is imported, called or executed.

A state dict needs 34 of pickle's opcodes and a dozen names. They are interpreted to dicts, lists, tuples, plain
values and descriptions of tensors; anything else is refused. `pickle.Unpickler` with an allow-list of names is not
enough: eight bytes make it allocate gigabytes (LONG_BINPUT), BUILD sets attributes, and nested tuples as keys take
exponential time to hash.
"""

import pickletools
import struct
from dataclasses import dataclass
from typing import Any, BinaryIO

from ssd300 import limits
from ssd300.errors import ModelError
from ssd300.weights.archive import ELEMENTS, Storage, StoredTensor
from ssd300.weights.foreign import of_package

MAX_OPCODES = limits.PICKLE_OPCODES
_CALLABLE = {
    "collections.OrderedDict",
    "collections.Counter",
    "torch._utils._rebuild_tensor_v2",
    "torch._utils._rebuild_parameter",
    "torch.Size",
    "torch.device",
}
_ALLOWED = _CALLABLE | {f"torch.{name}" for name in ELEMENTS}
_MARK = object()
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_EMPTY = {"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple}
_LITERALS = {"BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT", "BINUNICODE", "BINSTRING", "SHORT_BINSTRING"}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_KNOWN = {
    *("PROTO", "STOP", "MARK", "GLOBAL", "REDUCE", "BUILD", "BINPERSID", "BINPUT", "LONG_BINPUT", "BINGET"),
    *("LONG_BINGET", "TUPLE", "APPEND", "APPENDS", "SETITEM", "SETITEMS"),
    *_CONSTANTS,
    *_EMPTY,
    *_LITERALS,
    *_TUPLES,
}
_NAMES = {opcode.code.encode("latin-1"): opcode.name for opcode in pickletools.opcodes}
_ARGUMENTS = {opcode.name: opcode.arg for opcode in pickletools.opcodes}


@dataclass(frozen=True)
class _Global:
    name: str


def read_pickle(stream: BinaryIO, source: str, storages: dict[str, Storage] | None = None) -> Any:
    """The value of the pickle at the stream's position, which is after it on return. Raises ModelError.

    stream: of bytes in memory, so that a false length cannot allocate more than the stream has.
    storages: filled with every storage that the pickle refers to, by key.
    """
    machine = _Machine(source, {} if storages is None else storages)
    try:
        for _ in range(MAX_OPCODES):
            name, argument = _next(stream, machine)
            machine.step(name, argument)
            if name == "STOP":
                return machine.result()
    except (ValueError, struct.error, IndexError) as error:
        raise ModelError(
            f"{source}: its pickle is damaged or truncated ({type(error).__name__}: {str(error)[:120]}); "
            "copy or download the file again"
        ) from error
    raise machine.refusal(f"its pickle is longer than {MAX_OPCODES:,} opcodes")


def _next(stream: BinaryIO, machine: "_Machine") -> tuple[str, Any]:
    """The next opcode and its argument; the arguments of refused opcodes are not read."""
    code = stream.read(1)
    if not code:
        raise ValueError("no end")
    name = _NAMES.get(code)
    if name not in _KNOWN:
        raise machine.refusal(f"its pickle uses the opcode {name or repr(code)}")
    if name == "GLOBAL":  # pickletools would interpret backslashes
        return name, f"{_line(stream)}.{_line(stream)}"
    reader = _ARGUMENTS[name]
    return name, reader.reader(stream) if reader else None


def _line(stream: BinaryIO) -> str:
    line = stream.readline()
    if not line.endswith(b"\n"):
        raise ValueError("a name without its end")
    return line[:-1].decode("ascii")


class _Machine:
    """The stack and memo of one pickle."""

    def __init__(self, source: str, storages: dict[str, Storage]) -> None:
        self.source = source
        self.storages = storages
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def refusal(self, found: str) -> ModelError:
        return ModelError(
            f"{self.source}: {found}, which a file of weights never needs; nothing was executed. "
            "Save only the weights: torch.save(model.state_dict(), FILE)"
        )

    def result(self) -> Any:
        if len(self.stack) != 1 or isinstance(self.stack[0], _Global) or self.stack[0] is _MARK:
            raise self.refusal("its pickle does not end in one value")
        return self.stack[0]

    def step(self, name: str, argument: Any) -> None:
        """Interpret one opcode. Raises IndexError if the stack is too short."""
        stack = self.stack
        if name in _LITERALS:
            if isinstance(argument, int) and argument.bit_length() > 128:
                raise self.refusal("a whole number of more than 128 bits")
            stack.append(argument)
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name in ("BINGET", "LONG_BINGET"):
            if argument not in self.memo:
                raise self.refusal(f"memo entry {argument} is read but was never stored")
            stack.append(self.memo[argument])
        elif name in ("BINPUT", "LONG_BINPUT"):
            self.memo[argument] = self._top()
        elif name == "MARK":
            stack.append(_MARK)
        elif name in _TUPLES:
            values = [self._pop() for _ in range(_TUPLES[name])]
            stack.append(tuple(values[::-1]))
        elif name in _EMPTY:
            stack.append(_EMPTY[name]())
        elif name == "PROTO" and argument > 2:
            raise self.refusal(f"its pickle has protocol {argument} instead of torch's own, 2")
        elif name == "GLOBAL":
            if argument not in _ALLOWED:
                raise self.refusal(f"its pickle refers to {argument[:100]!r}{of_package(argument)}")
            stack.append(_Global(argument))
        else:
            self._step_structure(name)

    def _step_structure(self, name: str) -> None:
        match name:
            case "TUPLE":
                self.stack.append(tuple(self._above_mark()))
            case "APPEND":
                self._extend([self._pop()])
            case "APPENDS":
                self._extend(self._above_mark())
            case "SETITEM":
                value, key = self._pop(), self._pop()
                self._update([key, value])
            case "SETITEMS":
                self._update(self._above_mark())
            case "BINPERSID":
                self.stack.append(self._storage(self._pop()))
            case "REDUCE":
                arguments, function = self._pop(), self._pop()
                self.stack.append(self._call(function, arguments))
            case "BUILD":  # attributes of an OrderedDict (torch's _metadata): not needed, so dropped
                self._pop()
                if not isinstance(self._top(), dict):
                    raise self.refusal(f"attributes are set on a {_kind(self._top())}")

    def _top(self) -> Any:
        if self.stack[-1] is _MARK:
            raise self.refusal("its pickle uses a mark as a value")
        return self.stack[-1]

    def _pop(self) -> Any:
        value = self._top()
        self.stack.pop()
        return value

    def _above_mark(self) -> list[Any]:
        items = []
        while self.stack[-1] is not _MARK:
            items.append(self.stack.pop())
        self.stack.pop()
        return items[::-1]

    def _extend(self, items: list[Any]) -> None:
        target = self._top()
        if not isinstance(target, list):
            raise self.refusal(f"items are appended to a {_kind(target)}")
        target.extend(items)

    def _update(self, flat: list[Any]) -> None:
        target = self._top()
        if not isinstance(target, dict) or len(flat) % 2:
            raise self.refusal(f"{len(flat)} keys and values are set in a {_kind(target)}")
        for key, value in zip(flat[::2], flat[1::2], strict=True):
            # Only keys that hash fast: nested tuples may take exponential time.
            if not isinstance(key, str | int) or (isinstance(key, int) and key.bit_length() > 63):
                raise self.refusal(f"a {_kind(key)} is used as a key")
            target[key] = value

    def _call(self, function: Any, arguments: Any) -> Any:
        if not isinstance(function, _Global) or function.name not in _CALLABLE or not isinstance(arguments, tuple):
            raise self.refusal(f"its pickle calls a {_kind(function)}")
        match function.name, arguments:
            case "collections.OrderedDict" | "collections.Counter", ():
                return {}
            case "collections.Counter", (dict(counts),):
                return counts
            case "torch._utils._rebuild_tensor_v2", (
                Storage() as storage,
                int(offset),
                tuple(shape),
                tuple(strides),
                *_,
            ):
                return self._tensor(storage, offset, shape, strides)
            case "torch._utils._rebuild_parameter", (StoredTensor() as tensor, *_):
                return tensor
            case "torch.Size", (tuple(sizes),):
                return sizes
            case "torch.device", (str(kind), *_):
                return kind
        raise self.refusal(f"its pickle calls {function.name} with {len(arguments)} unusual arguments")

    def _storage(self, identity: Any) -> Storage:
        match identity:
            case ("storage", _Global(name), str(key), str(), int(numel), *rest) if rest in ([], [None]):
                dtype = ELEMENTS.get(name.removeprefix("torch."))
                if dtype and 0 <= numel < 2**40:
                    storage = Storage(key, dtype, numel)
                    if self.storages.setdefault(key, storage) == storage:
                        return storage
        raise self.refusal("its pickle refers to numbers in an unusual way")

    def _tensor(self, storage: Storage, offset: int, shape: tuple[Any, ...], strides: tuple[Any, ...]) -> StoredTensor:
        numbers = (offset, *shape, *strides)
        plain = all(type(n) is int and 0 <= n < 2**40 for n in numbers)
        if not plain or len(shape) != len(strides) or len(shape) > limits.PICKLE_DIMENSIONS:
            raise self.refusal("its pickle holds a tensor with a wrong shape, stride or offset")
        count, last = 1, offset
        for size, stride in zip(shape, strides, strict=True):
            count *= size
            last += max(size - 1, 0) * stride
        # A stride of 0 would expand a few numbers to many.
        if count and (last >= storage.numel or count > storage.numel):
            raise self.refusal(f"a tensor of shape {list(shape)} reaches beyond its {storage.numel:,} stored numbers")
        return StoredTensor(storage, offset, shape, strides)


def _kind(value: Any) -> str:
    return value.name if isinstance(value, _Global) else type(value).__name__
