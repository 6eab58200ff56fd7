"""Calls whose arrays lie in arenas."""

import asyncio
import concurrent.futures
import random

import grpc
import numpy
import pytest
import torch
from arena_peer import lies_in
from broken_server import asks_to_wait, broken_server
from lossd_server import Server

import lossd
from lossd.v1 import loss_service_pb2

LOGITS = dict(prediction_kind="LOGITS")
# 4096 float32 in a page or more: what does not travel is seen in the bytes.
SHAPE = (64, 32)


def random_arrays(*shapes, seed=1):
    generator = numpy.random.default_rng(seed)
    return [generator.standard_normal(shape, "float32") for shape in shapes]


def items_sent(handler):
    """The first one of each request that came to a Broken server."""
    requests = (loss_service_pb2.ComputeRequest.FromString(request)
                for request in handler.requests)
    return [request.items[0] for request in requests if request.items]


@pytest.fixture
def seen(server):
    """A client, and the server in between that sees its requests."""
    handler, proxy, port = broken_server(server.target, 0, None)
    with lossd.Client(f"127.0.0.1:{port}") as client:
        yield client, handler
    proxy.stop(None)


def test_nothing_travels(seen):
    client, handler = seen
    predictions, targets = random_arrays(SHAPE, SHAPE)
    expected = client.mae(predictions, targets)
    with client.create_arena(1 << 20) as arena:
        loss, gradient = client.mae(arena.copy(predictions),
                                    arena.copy(targets))
        assert lies_in(arena, gradient)
        assert (loss, gradient.tobytes()) == (expected.loss,
                                              expected.gradient.tobytes())
        assert gradient.flags.writeable and gradient.flags.c_contiguous
        assert gradient.shape == SHAPE and gradient.dtype == "float32"
        # Views, and views of tensors, of any alignment.
        pair = arena.tensor((2, 64, 33))
        pair[0, :, :].reshape(-1)[1:2049].copy_(
            torch.from_numpy(predictions).reshape(-1))
        gradient = client.mae(pair[0].reshape(-1)[1:2049].numpy(),
                              targets.reshape(-1)).gradient
        assert gradient.tobytes() == expected.gradient.tobytes()
    sizes = [item.ByteSize() for item in items_sent(handler)]
    assert sizes[0] > 2 * 8192 and sizes[1] < 300 and 8192 < sizes[2] < 8500


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16,
                                   torch.bfloat16])
def test_tensors(client, arena, dtype):
    logits = torch.randn(50, 7).to(dtype)
    labels = torch.arange(50) % 7
    weights = torch.rand(50)
    keywords = dict(outputs=("gradient", "row_losses"), **LOGITS)
    expected = client.compute("scce", logits, labels, sample_weights=weights,
                              **keywords)
    result = client.compute("scce", arena.copy(logits), arena.copy(labels),
                            sample_weights=arena.copy(weights), **keywords)
    assert result.loss == expected.loss
    for name in ("gradient", "row_losses"):
        mine = getattr(result, name)
        assert isinstance(mine, torch.Tensor) and lies_in(arena, mine)
        assert torch.equal(mine, getattr(expected, name))
    assert result.gradient.dtype == dtype


def test_arrays_elsewhere_are_mixed_in(client, arena):
    predictions, targets = random_arrays(SHAPE, SHAPE)
    weights = numpy.random.default_rng(3).random(64)
    expected = client.mse(predictions, targets, sample_weights=weights)
    other = client.create_arena(1 << 20)
    for gives in range(8):
        copies = [place.copy(value) if gives >> bit & 1 else value
                  for bit, (place, value) in enumerate((
                      (arena, predictions), (other, targets),
                      (arena, weights)))]
        loss, gradient = client.mse(*copies[:2], sample_weights=copies[2])
        assert loss == expected.loss
        assert gradient.tobytes() == expected.gradient.tobytes()
        assert lies_in(arena, gradient) == (gives & 1)
    # Of another layout or type they are sent.
    for one in (arena.copy(predictions.T).T,
                arena.copy(predictions[:, ::-1])[:, ::-1],
                arena.copy(predictions > 0).view("int8")):
        loss, gradient = client.mse(one, targets)
        again = client.mse(numpy.array(one), targets)
        assert (loss, gradient.tobytes()) == (again.loss,
                                              again.gradient.tobytes())


def test_gradients_that_are_held_stay(client):
    values = random_arrays(*[SHAPE] * 10)
    expected = [client.mse(*values[2 * step:2 * step + 2]).gradient
                for step in range(5)]
    # Room for the arrays of a step and five gradients.
    with client.create_arena(7 * 8192) as arena:
        held = []
        for step in range(5):
            held.append(client.mse(arena.copy(values[2 * step]),
                                   arena.copy(values[2 * step + 1])).gradient)
        for mine, other in zip(held, expected):
            assert lies_in(arena, mine)
            assert mine.tobytes() == other.tobytes()
        addresses = {one.ctypes.data for one in held}
        assert len(addresses) == 5
        # What is let go is used again.
        del held, mine
        for step in range(5):
            gradient = client.mse(arena.copy(values[2 * step]),
                                  arena.copy(values[2 * step + 1])).gradient
            assert gradient.tobytes() == expected[step].tobytes()
            assert lies_in(arena, gradient)
        assert arena.taken == 8192


def test_results_without_room_come_inline(client):
    predictions, targets = random_arrays(SHAPE, SHAPE)
    expected = client.mse(predictions, targets)
    with client.create_arena(2 * 8192) as arena:
        predictions, targets = arena.copy(predictions), arena.copy(targets)
        loss, gradient = client.mse(predictions, targets)
        assert not lies_in(arena, gradient)
        assert (loss, gradient.tobytes()) == (expected.loss,
                                              expected.gradient.tobytes())
        # What is not asked for takes no room.
        assert client.compute("mse", predictions, targets,
                              outputs=()).gradient is None


def test_half_types_of_numpy(client, arena):
    predictions, targets = random_arrays(SHAPE, SHAPE)
    for dtype in ("float16", "bfloat16", "float64"):
        expected = client.compute("mse", predictions, targets,
                                  gradient_dtype=dtype).gradient
        gradient = client.compute("mse", arena.copy(predictions), targets,
                                  gradient_dtype=dtype).gradient
        assert gradient.dtype == expected.dtype
        assert gradient.tobytes() == expected.tobytes()


@pytest.mark.parametrize("loss,keywords", [
    ("mse", {}), ("huber", {"delta": 0.5}), ("scce", LOGITS),
    ("focal", LOGITS)])
def test_in_place(client, arena, loss, keywords):
    predictions, = random_arrays(SHAPE)
    targets = (numpy.arange(64) % 32 if loss == "scce" else
               (predictions > 0.5).astype("float32"))
    expected = client.compute(loss, predictions, targets, **keywords)
    array = arena.copy(predictions)
    result = client.compute(loss, array, targets, gradient_to=array, **keywords)
    assert result.gradient is array
    assert result.loss == expected.loss
    assert array.tobytes() == expected.gradient.tobytes()
    tensor = arena.copy(torch.from_numpy(predictions))
    result = client.compute(loss, tensor, targets, gradient_to=tensor,
                            outputs="row_losses", **keywords)
    assert result.gradient is tensor
    assert tensor.numpy().tobytes() == expected.gradient.tobytes()
    assert result.row_losses is not None


def test_gradient_to(client, arena):
    predictions, targets = random_arrays(SHAPE, SHAPE)
    expected = client.compute("mse", predictions, targets,
                              gradient_dtype="float64").gradient
    # Predictions elsewhere, and a dtype of its own.
    place = arena.array(SHAPE, "float64")
    result, other = client.compute_batch([
        lossd.Call("mse", targets=targets, gradient_to=place),
        lossd.Call("mae", targets=targets)],
        lossd.Call(predictions=predictions))
    assert result.gradient is place and not lies_in(arena, other.gradient)
    assert place.tobytes() == expected.tobytes()

    def refused(place, text, predictions=predictions):
        with pytest.raises(ValueError, match=f"^gradient_to: got {text}"):
            client.compute("mse", predictions, targets, gradient_to=place)

    refused(numpy.zeros(SHAPE, "float32"), "an array outside")
    refused(arena.array((32, 64)).T, "an array outside")
    refused(arena.array((32, 64)), r"shape \(32, 64\), allowed .*\(64, 32\)")
    with pytest.raises(ValueError, match="^gradient_to: got one in the defaul"):
        client.compute_batch([], lossd.Call(gradient_to=place))
    with pytest.raises(lossd.InvalidArgument, match="INT64|int64"):
        client.compute("mse", predictions, targets,
                       gradient_to=arena.array(SHAPE, "int64"))
    # The server sees what overlaps.
    twice = arena.copy(predictions)
    with pytest.raises(lossd.InvalidArgument, match="gradient_to"):
        client.compute("mse", predictions, twice, gradient_to=twice)


def test_batches(client, arena):
    predictions, targets = random_arrays(SHAPE, SHAPE)
    bad = predictions.copy()
    bad[3, 4] = numpy.nan

    def calls(place):
        return dict(calls=[
            lossd.Call("mse"),
            lossd.Call("huber", delta=0.5, outputs=("gradient", "row_losses")),
            lossd.Call("mae", place(bad)),
            lossd.Call("mse", predictions, reduction="NONE"),
            lossd.Call("mse", semantics="PYTORCH", outputs="row_losses"),
            lossd.Call("mae", place(targets), targets, reduction="NONE")],
            defaults=lossd.Call(predictions=place(predictions),
                                targets=place(targets)))

    expected = client.compute_batch(**calls(lambda value: value))
    results = client.compute_batch(**calls(arena.copy))
    assert isinstance(results[2], lossd.InvalidArgument)
    assert results[2].violations[0].index == 3 * 32 + 4
    for mine, other in zip(results, expected):
        if isinstance(mine, lossd.LossdError):
            continue
        assert numpy.array(mine.loss).tobytes() == numpy.array(
            other.loss).tobytes()
        for name in ("gradient", "row_losses"):
            one, two = getattr(mine, name), getattr(other, name)
            assert (one is None) == (two is None)
            if one is not None:
                assert (one.shape, one.tobytes()) == (two.shape, two.tobytes())
    assert results[1].row_losses.shape == (64,)
    assert results[4].row_losses.shape == SHAPE
    inside = [lies_in(arena, one) for result in
              (results[0], results[1], results[3], results[4], results[5])
              for one in (result.gradient, result.row_losses)
              if one is not None]
    assert inside == [True, True, True, False, False, True, True, True]


def test_defaults(client, arena):
    predictions, targets = random_arrays(SHAPE, SHAPE)
    results = client.compute_batch(
        [lossd.Call(), lossd.Call("huber", semantics="STRICT"),
         lossd.Call(reduction="SUM", outputs="row_losses")],
        lossd.Call("mae", arena.copy(predictions), targets, reduction="NONE",
                   semantics="PYTORCH"))
    shapes = [SHAPE, (64,), SHAPE]
    for result, shape in zip(results, shapes):
        assert result.row_losses.shape == shape
        assert lies_in(arena, result.row_losses)
    # Nobody knows the loss.
    nothing, = client.compute_batch([lossd.Call()], lossd.Call(
        predictions=arena.copy(predictions), targets=targets))
    assert isinstance(nothing, lossd.InvalidArgument)


def test_an_arena_of_another_client(server, client, arena):
    predictions, targets = random_arrays(SHAPE, SHAPE)
    with lossd.Client(server.target) as other:
        gradient = other.mse(arena.copy(predictions), targets).gradient
    assert not lies_in(arena, gradient)
    assert gradient.tobytes() == client.mse(predictions,
                                            targets).gradient.tobytes()


def test_a_closed_arena(client):
    predictions, targets = random_arrays(SHAPE, SHAPE)
    with client.create_arena(1 << 20) as arena:
        inside = arena.copy(predictions)
        gradient = client.mse(inside, targets).gradient
        kept = gradient.copy()
    for keywords in (dict(predictions=inside), dict(targets=inside),
                     dict(sample_weights=inside[:, 0].copy(),
                          mask=inside.view("bool")[0, :64]),
                     dict(gradient_to=gradient)):
        arguments = dict(predictions=predictions, targets=targets)
        name = list(keywords)[-1]
        with pytest.raises(lossd.FailedPrecondition,
                           match=f"^{name} lies in an arena that has been clo"):
            client.compute("mse", **{**arguments, **keywords})
    # lossd frees it, and clears it, only when nothing is left in it.
    with client.create_arena(1 << 20) as other:
        assert client.mse(other.copy(predictions), targets).gradient.tobytes()
    assert gradient.tobytes() == kept.tobytes()
    assert inside.tobytes() == predictions.tobytes()


def test_limits(tmp_path):
    server = Server("--arena_listen", f"unix:{tmp_path}/arenas",
                    "--memory_budget", str(256 << 20),
                    "--max_message_bytes", str(4 << 20))
    with lossd.Client(server.target) as client:
        # A quarter of the budget.
        with pytest.raises(lossd.ResourceExhausted, match="unix:.*arenas: "):
            client.create_arena((64 << 20) + 1)
        arenas = [client.create_arena(1) for _ in range(64)]
        with pytest.raises(lossd.ResourceExhausted, match="64"):
            client.create_arena(1)
        assert client.mse(arenas[-1].copy([1.0]), [2.0]).loss == 1
    server.stop()


def test_no_arenas():
    server = Server()
    with lossd.Client(server.target) as client:
        with pytest.raises(lossd.Unimplemented, match="offers no arenas"):
            client.create_arena(4096)
        arena = client.create_arena(4096, fall_back=True)
        assert not arena.shared
        inside = arena.copy([1.0, 2.0])
        loss, gradient = client.mse(inside, [0.0, 0.0])
        assert (loss, gradient.tolist()) == (2.5, [1, 2])
        assert arena.taken == 64
        arena.close()
        with pytest.raises(lossd.FailedPrecondition, match="predictions lies"):
            client.mse(inside, [0.0, 0.0])
    server.stop()


def test_another_path_to_the_socket(server, client, tmp_path):
    path = client.server_info().arena_address.removeprefix("unix:")
    (tmp_path / "elsewhere").symlink_to(path)
    with client.create_arena(
            4096, address=f"unix:{tmp_path}/elsewhere") as arena:
        assert lies_in(arena, client.mse(arena.copy([1.0]), [2.0]).gradient)


def test_the_server_restarts(socket_path, tmp_path):
    flags = ("--arena_listen", f"unix:{tmp_path}/arenas")
    server = Server(*flags, listen=socket_path)
    with lossd.Client(socket_path) as client:
        arena = client.create_arena(4096)
        inside = arena.copy([1.0, 2.0])
        gradient = client.mse(inside, [0.0, 0.0]).gradient
        server.kill()
        server = Server(*flags, listen=socket_path)
        assert gradient.tolist() == [1, 2]
        with pytest.raises(lossd.NotFound, match="predictions.arena.id"):
            client.mse(inside, [0.0, 0.0])
        again = client.create_arena(4096)
        assert again.shared
        loss, gradient = client.mse(again.copy(inside), [0.0, 0.0])
        assert (loss, gradient.tolist()) == (2.5, [1, 2])
        server.stop()


def test_a_second_try_writes_elsewhere(server):
    def offsets(details, failures=1):
        handler, proxy, port = broken_server(
            server.target, failures, grpc.StatusCode.UNAVAILABLE, details)
        with lossd.Client(f"127.0.0.1:{port}") as client:
            with client.create_arena(4096) as arena:
                predictions = arena.copy([1.0, 2.0])
                gradient = client.mse(predictions, [0.0, 0.0]).gradient
                assert gradient.tolist() == [1, 2]
                sent = [item.outputs.gradient_to.offset
                        for item in items_sent(handler)]
                assert gradient.ctypes.data - arena._memory.address == sent[-1]
                del gradient
                taken = arena.taken
        proxy.stop(None)
        return sent, taken

    # The first try may still be at work when the second has been answered.
    assert offsets(()) == ([64, 128], 128)
    # But not when it is the server that refused.
    assert offsets(asks_to_wait(0)) == ([64, 64], 64)


@pytest.mark.parametrize("code", [grpc.StatusCode.INTERNAL,
                                  grpc.StatusCode.UNAVAILABLE])
def test_results_of_calls_that_failed_are_not_used_again(server, code):
    handler, proxy, port = broken_server(server.target, 2, code)
    with lossd.Client(f"127.0.0.1:{port}") as client:
        with client.create_arena(4096) as arena:
            predictions = arena.copy([1.0, 2.0])
            # Predictions that are overwritten cannot be sent again.
            with pytest.raises(lossd.LossdError, match="broken"):
                client.compute("mse", predictions, [0.0, 0.0],
                               gradient_to=predictions)
            assert handler.failures == 1
            if code == grpc.StatusCode.INTERNAL:
                with pytest.raises(lossd.Internal, match="broken"):
                    client.mse(predictions, [0.0, 0.0])
                assert arena.taken == 128
    proxy.stop(None)


def test_threads(client, arena):
    def work(number):
        chance = random.Random(number)
        held = []
        for step in range(60):
            size = chance.randint(1, 3000)
            predictions = arena.array(size)
            predictions[:] = number + 1
            gradient = client.mae(predictions, numpy.full(size, step)).gradient
            held.append((gradient, numpy.sign(number + 1 - step) /
                         numpy.float32(size)))
            del held[:-chance.randint(1, 5)]
            for one, value in held:
                assert (one == numpy.float32(value)).all()

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))
    assert arena.taken == 0


def test_asyncio(server):
    async def run():
        async with lossd.AsyncClient(server.target) as client:
            with await client.create_arena(1 << 20) as arena:
                gradients = await asyncio.gather(*(
                    client.mae(arena.copy([float(step)]), [0.5])
                    for step in range(10)))
                for step, (loss, gradient) in enumerate(gradients):
                    assert loss == abs(step - 0.5)
                    assert lies_in(arena, gradient)
                    assert gradient.tolist() == [1 if step else -1]
            with pytest.raises(lossd.FailedPrecondition):
                await client.mae(gradient, [0.5])

    asyncio.run(run())
