from typing import TypeVar

Wrapped = TypeVar("Wrapped")

def parameterNodeWrapper(kind: type[Wrapped]) -> type[Wrapped]: ...
