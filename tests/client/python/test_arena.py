"""Arenas by themselves: the allocator, and arrays in them."""

import concurrent.futures
import gc
import pickle
import random

import numpy
import pytest
import torch

import lossd
from lossd.free_list import FreeList

NBYTES = 1 << 16


@pytest.fixture
def arena():
    """Of ordinary memory."""
    with lossd.Client("127.0.0.1:1").create_arena(
            NBYTES, address="unix:/nobody", fall_back=True) as one:
        yield one


def test_the_free_list_against_a_model():
    chance = random.Random(1)
    size = 200
    free = FreeList(size)
    owners = [None] * size
    taken = {}
    for step in range(20000):
        if taken and chance.random() < 0.5:
            offset = chance.choice(list(taken))
            nbytes = taken.pop(offset)
            owners[offset:offset + nbytes] = [None] * nbytes
            free.give_back(offset)
        else:
            wanted = chance.randint(1, 40)
            runs = "".join("x" if one else " " for one in owners)
            # First fit.
            expected = runs.find(" " * wanted)
            offset = free.take(wanted)
            assert offset == (None if expected < 0 else expected)
            if offset is not None:
                owners[offset:offset + wanted] = [step + 1] * wanted
                taken[offset] = wanted
        runs = "".join("x" if one else " " for one in owners)
        assert free.taken == sum(taken.values()) == runs.count("x")
        assert free.largest == max(map(len, runs.split("x")))
    for offset in taken:
        free.give_back(offset)
    assert (free.taken, free.largest) == (0, size)
    assert free.take(size) == 0
    assert free.take(1) is None


def test_arrays(arena):
    assert not arena.shared
    first = arena.array((3, 5))
    second = arena.array(7, numpy.int64)
    assert (first.shape, first.dtype, second.shape, second.dtype) == (
        (3, 5), numpy.float32, (7,), numpy.int64)
    for one in (first, second):
        assert one.ctypes.data % 64 == 0
        assert one.flags.writeable and one.flags.c_contiguous
    first[:], second[:] = 1, 2
    assert (first == 1).all() and (second == 2).all()
    assert arena.taken == 128
    assert arena.array(()).shape == ()
    assert arena.array((0, 3)).shape == (0, 3)


@pytest.mark.parametrize("dtype", [
    torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int32,
    torch.int64, torch.bool])
def test_tensors(arena, dtype):
    values = (torch.arange(6) % 2).reshape(2, 3).to(dtype)
    tensor = arena.tensor((2, 3), dtype)
    assert (tensor.shape, tensor.dtype) == ((2, 3), dtype)
    assert tensor.data_ptr() % 64 == 0
    tensor.copy_(values)
    assert torch.equal(tensor, values)
    copy = arena.copy(values.t().requires_grad_(dtype.is_floating_point))
    assert torch.equal(copy, values.t())
    assert copy.is_contiguous() and copy.dtype == dtype
    assert not copy.requires_grad
    assert arena.tensor(3).dtype == torch.float32
    assert arena.tensor((), dtype).shape == ()
    assert arena.tensor((2, 0), dtype).shape == (2, 0)


def test_copies_of_arrays(arena):
    for value in ([1.5, 2], numpy.array([[1, 2], [3, 4]], ">i4").T, True,
                  numpy.float16(2), numpy.zeros((0, 2))):
        copy = arena.copy(value)
        numpy.testing.assert_array_equal(copy, value)
        assert copy.dtype.isnative and copy.flags.c_contiguous
        assert copy.dtype.name == numpy.asarray(value).dtype.name


def test_what_cannot_lie_there(arena):
    for dtype in ("uint8", "complex64", "O", "U3"):
        with pytest.raises(TypeError, match="^dtype: got .*float32, float64"):
            arena.array(3, dtype)
    with pytest.raises(TypeError, match="^dtype: got 'uint8'"):
        arena.tensor(3, torch.uint8)
    with pytest.raises(TypeError, match="^value: got a masked array"):
        arena.copy(numpy.ma.array([1.0], mask=[1]))
    with pytest.raises(ValueError, match=r"^shape: got \(2, -1\)"):
        arena.array((2, -1))
    with pytest.raises(TypeError):
        arena.array((2.5,))
    with pytest.raises(TypeError):
        pickle.dumps(arena)
    assert arena.taken == 0


def test_bytes_come_back_with_the_last_view(arena):
    array = arena.array(16)
    view = array.reshape(4, 4)[1:, ::2]
    tensor = torch.from_numpy(view)
    del array, view
    assert arena.taken == 64
    part = tensor[0]
    del tensor
    assert arena.taken == 64
    again = part.numpy()
    del part
    assert arena.taken == 64
    del again
    assert arena.taken == 0


def test_what_somebody_holds_is_never_handed_out(arena):
    chance = random.Random(2)
    held = {}
    for step in range(3000):
        if held and chance.random() < 0.5:
            number = chance.choice(list(held))
            assert (held.pop(number) == number).all()
            continue
        try:
            array = arena.array(chance.randint(1, 2000), "int32")
        except lossd.ResourceExhausted:
            continue
        array[:] = step
        held[step] = array
    assert len(held) > 5
    for number, array in held.items():
        assert (array == number).all()
    del array
    held.clear()
    assert arena.taken == 0
    assert arena.array(NBYTES, "bool").size == NBYTES


def test_it_does_not_fit(arena):
    arrays = [arena.array(NBYTES // 4, "bool") for _ in range(3)]
    del arrays[1]
    text = (f"{NBYTES // 2} bytes do not fit into the arena of {NBYTES} bytes: "
            f"{NBYTES // 2} are free, {NBYTES // 4} in one piece")
    with pytest.raises(lossd.ResourceExhausted, match=text):
        arena.array(NBYTES // 2, "bool")


def test_a_closed_arena(arena):
    array = arena.copy([1.0, 2.0])
    arena.close()
    arena.close()
    for ask in (lambda: arena.array(1), lambda: arena.tensor(1),
                lambda: arena.copy([1.0])):
        with pytest.raises(lossd.FailedPrecondition, match="been closed"):
            ask()
    assert array.tolist() == [1, 2]
    del arena
    gc.collect()
    assert array.tolist() == [1, 2]


def test_threads(arena):
    def work(number):
        for step in range(1000):
            array = arena.array(20 * number + 20, "int64")
            array[:] = number
            view = array[step % 20:]
            del array
            assert (view == number).all()

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert arena.taken == 0


def test_which_memory_is_in_an_arena():
    client = lossd.Client("127.0.0.1:1")
    find = client._arenas.find
    assert find(1 << 20, 1) is None
    arenas = [client.create_arena(NBYTES, address="unix:/nobody",
                                  fall_back=True) for _ in range(5)]
    memories = [one._memory for one in arenas]
    for memory in memories:
        begin, end = memory.address, memory.address + NBYTES
        assert find(begin, NBYTES) == (memory, 0)
        assert find(end - 1, 1) == (memory, NBYTES - 1)
        assert find(end - 1, 2) is None
        assert (find(begin - 1, 1) or find(end, 1) or (None,))[0] != memory
    # Of those that have gone nothing is left.
    addresses = [memory.address for memory in memories]
    del memory, memories, arenas[1:4]
    gc.collect()
    assert [bool(find(address, 1)) for address in addresses] == [
        True, False, False, False, True]
    arenas.append(client.create_arena(NBYTES, address="unix:/nobody",
                                      fall_back=True))
    assert len(client._arenas._table) == 3


def test_sizes():
    client = lossd.Client("127.0.0.1:1")
    with client.create_arena(1, address="unix:/nobody", fall_back=True) as one:
        assert one.nbytes == 4096
    for nbytes in (0, -1, (1 << 50) + 1):
        with pytest.raises(ValueError, match=f"^nbytes: got {nbytes}, allowed"):
            client.create_arena(nbytes, address="unix:/nobody", fall_back=True)
    with pytest.raises(lossd.Unavailable, match="unix:/nobody"):
        client.create_arena(1, address="unix:/nobody")
