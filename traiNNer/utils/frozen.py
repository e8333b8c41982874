"""A dictionary that stays as it is."""

from typing import Any, NoReturn


def _refuse(*_: Any, **__: Any) -> NoReturn:
    raise TypeError("this dictionary is frozen; make another one with `|`")


REFUSE: Any = _refuse


class FrozenDict(dict[str, Any]):
    """A dictionary that cannot be changed; `|` makes an ordinary one. Its values are its own affair."""

    __setitem__ = __delitem__ = __ior__ = clear = pop = popitem = setdefault = update = REFUSE

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (dict(self),)
