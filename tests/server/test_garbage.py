"""What a release holds is left out of collections; garbage is still found afterwards."""

import gc
import weakref

import pytest

from server.garbage import long_lived


class Node:
    """May be part of a cycle."""


@pytest.fixture(autouse=True)
def thawed():
    yield
    gc.unfreeze()
    assert gc.isenabled()


@pytest.mark.parametrize("serving", [True, False])
def test_nothing_is_collected_in_the_body_and_what_it_made_is_left_out(serving):
    before = gc.get_freeze_count()
    with long_lived(serving=serving):
        assert not gc.isenabled()
        kept = [[number] for number in range(1000)]
    assert gc.isenabled()
    assert gc.get_freeze_count() >= before + 1000
    assert not any(found is kept for found in gc.get_objects(0))


def test_what_is_left_out_is_freed_with_its_last_user():
    with long_lived(serving=True):
        node = Node()
    watched = weakref.ref(node)
    del node
    assert watched() is None


def test_cycles_made_later_are_collected():
    with long_lived(serving=True):
        pass
    node = Node()
    node.itself = node
    watched = weakref.ref(node)
    del node
    gc.collect()
    assert watched() is None


def test_a_load_that_fails_leaves_collections_on():
    with pytest.raises(ValueError), long_lived(serving=True):
        raise ValueError
