"""How an arch declares its traits."""

import pytest

from traiNNer.archs.traits import arch
from traiNNer.registry import ARCHS


class Doubling:
    def __init__(self, scale: int, dim: int = 8) -> None: ...


@pytest.fixture(autouse=True)
def _own_registry(monkeypatch):
    assert list(ARCHS)
    monkeypatch.setattr(ARCHS, "_components", dict(ARCHS._components))


def test_traits_are_read_by_arch_name():
    assert arch(scales=(2, 4), size_multiple=8)(Doubling) is Doubling
    traits = ARCHS["doubling"].traits
    assert (traits.scales, traits.size_multiple) == ((2, 4), 8)


def test_undeclared_trait_has_its_default():
    arch()(Doubling)
    assert ARCHS["doubling"].traits.size_multiple == 1


def test_unknown_field_is_refused():
    with pytest.raises(TypeError, match="size_multiples"):
        arch(size_multiples=8)(Doubling)
    assert "doubling" not in list(ARCHS)


def test_impossible_network_option_is_refused():
    with pytest.raises(ValueError, match="size_multiple"):
        arch(size_multiple=0)(Doubling)
