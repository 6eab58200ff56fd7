"""lossd.torch.Loss with an arena."""

import concurrent.futures
import copy
import gc

import pytest
import torch
from arena_peer import lies_in
from lossd_server import Server

import lossd
from lossd.torch import Loss

LOGITS = {"prediction_kind": "LOGITS"}


def arena_of(criterion):
    return criterion._arena._arena


def train(criterion, steps=20):
    """The weights after some steps, and the losses."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.ReLU(),
                                torch.nn.Linear(16, 5))
    optimizer = torch.optim.Adam(model.parameters())
    losses = []
    for step in range(steps):
        # Steps of several sizes.
        inputs = torch.randn(40 + 7 * (step % 5), 8)
        optimizer.zero_grad()
        loss = criterion(model(inputs), inputs.argmax(1) % 5)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses, [one.detach() for one in model.parameters()]


def test_training_has_the_same_bits(server):
    plain = train(Loss("scce", server.target, **LOGITS))
    criterion = Loss("scce", server.target, arena=True, **LOGITS)
    with_arena = train(criterion)
    assert with_arena[0] == plain[0]
    assert with_arena[0][-1] < with_arena[0][0]
    for mine, other in zip(with_arena[1], plain[1]):
        assert torch.equal(mine, other)
    # No step leaves anything behind.
    gc.collect()
    assert arena_of(criterion).taken == 0


def gradients(criterion, predictions, targets, upstream=None, **extras):
    values = [predictions.clone().requires_grad_(),
              *(one.clone().requires_grad_() for one in extras.values())]
    loss = criterion(values[0], targets, **dict(zip(extras, values[1:])))
    loss.backward(upstream)
    return [loss.detach(), *(one.grad for one in values)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16,
                                   torch.bfloat16])
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_equal_bits(server, dtype, reduction):
    upstream = torch.rand(2, 3, 4).to(dtype) if reduction == "none" else None
    images = torch.randn(2, 5, 3, 4).to(dtype)
    labels = torch.randint(5, (2, 3, 4))
    plain, other = (
        gradients(Loss("scce", server.target, reduction, arena=arena, **LOGITS),
                  images, labels, upstream) for arena in (False, True))
    for one, two in zip(plain, other):
        assert torch.equal(one, two) and one.dtype == two.dtype


def test_extra_inputs(server):
    # Of a page each.
    predictions, targets = torch.randn(2, 32, 32)
    variance = torch.rand(32, 32) + 0.1
    criterion = Loss("gaussian_nll", server.target, arena=True)
    plain = gradients(Loss("gaussian_nll", server.target), predictions, targets,
                      variance=variance)
    other = gradients(criterion, predictions, targets, variance=variance)
    for one, two in zip(plain, other):
        assert torch.equal(one, two)
    for one in other[1:]:
        assert lies_in(arena_of(criterion), one)


@pytest.mark.parametrize("targets", [
    torch.tensor([1.0, 0, 1]), torch.tensor([True, False, True]),
    torch.tensor([1, 0, 1], dtype=torch.uint8), [1.0, 0.0, 1.0]])
def test_targets_of_all_kinds(server, targets):
    predictions = torch.tensor([0.5, -1, 2])
    plain, other = (
        gradients(Loss("bce", server.target, arena=arena, **LOGITS),
                  predictions, targets) for arena in (False, True))
    assert all(map(torch.equal, plain, other))


def test_the_gradient_is_handed_on(server):
    """Without another copy of it."""
    criterion = Loss("mse", server.target, arena=True)
    predictions, targets = torch.ones(1000), torch.zeros(1000)
    _, gradient = gradients(criterion, predictions, targets)
    arena = arena_of(criterion)
    assert lies_in(arena, gradient)
    expected = gradient.clone()
    assert torch.equal(expected, torch.full((1000,), 2 / 1000))
    # The next one does not overwrite it, whatever happens to it.
    _, second = gradients(criterion, 2 * predictions, targets)
    assert torch.equal(gradient, expected)
    second.mul_(7)
    _, third = gradients(criterion, 2 * predictions, targets,
                         torch.tensor(0.5))
    for one in (gradient, third):
        assert torch.equal(one, expected)


def test_a_second_backward(server):
    for arena in (False, True):
        criterion = Loss("mse", server.target, arena=arena)
        predictions = torch.ones(10, requires_grad=True)
        loss = criterion(predictions, torch.zeros(10))
        loss.backward(retain_graph=True)
        first = predictions.grad.clone()
        # In place, and that is not what the graph keeps.
        loss.backward(retain_graph=True)
        assert torch.equal(predictions.grad, 2 * first)
        predictions.grad = None
        (loss + 2 * loss).backward()
        assert torch.equal(predictions.grad, 3 * first)


def test_it_grows(server):
    criterion = Loss("mse", server.target, arena=True)
    held = []
    sizes = []
    # Powers of two, so that gradients are exact.
    for size in (128, 512, 256, 8192, 16, 8192, 8192):
        loss, gradient = gradients(criterion, torch.full((size,), 3.0),
                                   torch.zeros(size))
        assert loss == 9
        assert lies_in(arena_of(criterion), gradient)
        held.append((gradient, 6 / size))
        sizes.append(arena_of(criterion).nbytes)
    for gradient, value in held:
        assert (gradient == torch.tensor(value)).all()
    assert sizes[0] == 4096 and sizes == sorted(sizes)


def test_it_grows_no_further_than_steps_need(server):
    criterion = Loss("mse", server.target, arena=True)
    arenas = []
    for _ in range(5):
        # Each is held until the next one is there.
        held = gradients(criterion, torch.ones(1024), torch.zeros(1024))
        arenas.append(arena_of(criterion))
    assert lies_in(arenas[-1], held[1])
    assert len({one.nbytes for one in arenas}) == 2
    assert arenas[1:] == 4 * [arenas[-1]]


def test_of_two_threads_one_makes_the_arena(server, client):
    criterion = Loss("mse", client, arena=True)
    made = client.create_arena(4096)

    class Late:
        """A lock that another thread had."""

        def __enter__(self):
            criterion._arena._arena = made

        def __exit__(self, *_):
            pass

    criterion._arena._lock = Late()
    criterion(torch.ones(3), torch.zeros(3))
    assert arena_of(criterion) is made


def test_without_gradient_there_need_be_no_room(server):
    criterion = Loss("mse", server.target, arena=True)
    assert criterion(torch.ones(1024), torch.zeros(1024)) == 1
    assert arena_of(criterion).nbytes == 2 * 4096


def test_tensors_in_an_arena_are_not_copied(server, client, arena):
    criterion = Loss("mse", client, arena=True)
    predictions = arena.copy(torch.ones(1000)).requires_grad_()
    criterion(predictions, arena.copy(torch.zeros(1000))).backward()
    assert arena_of(criterion) is None
    assert lies_in(arena, predictions.grad)


def test_no_arenas():
    server = Server()
    criterion = Loss("mse", server.target, arena=True)
    with pytest.raises(lossd.Unimplemented, match="offers no arenas"):
        criterion(torch.ones(3), torch.zeros(3))
    server.stop()


def test_the_server_restarts(socket_path, tmp_path):
    flags = ("--arena_listen", f"unix:{tmp_path}/arenas")
    server = Server(*flags, listen=socket_path)
    criterion = Loss("mse", socket_path, arena=True)
    predictions = torch.ones(10, requires_grad=True)
    criterion(predictions, torch.zeros(10)).backward()
    first = predictions.grad
    server.kill()
    server = Server(*flags, listen=socket_path)
    predictions.grad = None
    loss = criterion(predictions, torch.zeros(10))
    loss.backward()
    assert loss == 1
    assert torch.equal(first, predictions.grad)
    assert lies_in(arena_of(criterion), predictions.grad)
    server.stop()


def test_copies_have_arenas_of_their_own(server):
    criterion = Loss("mse", server.target, arena=True)
    criterion(torch.ones(3), torch.zeros(3))
    again = copy.deepcopy(criterion)
    assert again._arena._client is again.client
    assert again(torch.ones(3), torch.zeros(3)) == 1
    assert arena_of(again) is not arena_of(criterion)
    assert repr(again) == ("Loss('mean_squared_error', reduction='mean', "
                           "arena=True)")


def test_threads(server):
    criterion = Loss("mse", server.target, arena=True)

    def work(number):
        for step in range(30):
            # With exact gradients.
            size = 2 ** (4 + (step + number) % 10)
            _, gradient = gradients(criterion, torch.full((size,), number + 1.),
                                    torch.zeros(size))
            expected = torch.tensor(2 * (number + 1) / size)
            assert (gradient == expected).all()

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
