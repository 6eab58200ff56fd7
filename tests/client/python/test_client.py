"""The calls: methods, keywords, results, batches."""

import asyncio
import inspect
import keyword
import pickle
import pydoc
import typing

import numpy
import pytest

import lossd

PREDICTIONS = [0.5, -1.0, 3.0, 0.2]
TARGETS = [0.0, 1.0, 2.5, 0.2]


def test_every_loss_of_the_server_has_methods(client):
    losses = client.list_losses()
    assert len(losses) >= 9
    for info in losses:
        method = getattr(client, info.name)
        for alias in info.aliases:
            if keyword.iskeyword(alias):
                continue
            assert getattr(type(client), alias) is getattr(type(client),
                                                           info.name)
        parameters = inspect.signature(method).parameters
        for option in info.options:
            default = parameters[option.name].default
            expected = option.default_value
            if not expected:
                assert default is None
            elif isinstance(default, str):
                assert default == expected
            elif isinstance(default, bool):
                assert str(default).lower() == expected
            else:
                assert default == float(expected)
        for extra in info.inputs:
            assert extra.name in parameters
        assert info.summary in method.__doc__
        assert " ".join(info.example.split())[1:60] in " ".join(
            method.__doc__.split())


def test_help_reads_well(client):
    text = pydoc.plain(pydoc.render_doc(client.huber))
    assert "delta: 'float' = 1.0" in text
    assert "Where quadratic turns linear, in units of the predictions." in text
    assert "REDUCTION_" not in text and "DTYPE_" not in text


def test_type_hints_resolve(client):
    hints = typing.get_type_hints(
        inspect.unwrap(lossd.Client.binary_cross_entropy))
    assert hints["return"] is lossd.LossAndGradient
    assert typing.get_args(hints["prediction_kind"])[0] == typing.Literal[
        "LOGITS", "PROBABILITIES"]


def test_what_is_left_out_is_not_sent(client):
    call = lossd.Call("huber", PREDICTIONS, TARGETS)
    assert not call._message.loss.huber.HasField("delta")
    assert client.huber(PREDICTIONS, TARGETS).loss == 0.4375
    assert client.huber(PREDICTIONS, TARGETS, delta=0.5).loss == pytest.approx(
        (0.125 + 0.875 + 0.125 + 0) / 4, rel=1e-15)


def test_result(client):
    result = client.compute("huber_loss", [PREDICTIONS], [TARGETS], delta=2,
                            sample_weights=[3], reduction="weighted_mean",
                            outputs=("gradient", "row_losses"))
    row = (0.125 + 2 + 0.125 + 0) / 4
    assert result.loss == row
    assert (result.loss_sum, result.weight_sum, result.normalizer) == (
        3 * row, 3, 3)
    assert (result.row_count, result.masked_count, result.ignored_count,
            result.clipped_count) == (1, 0, 0, 0)
    assert result.loss_name == "huber"
    assert result.options == {"delta": 2.0}
    assert (result.reduction, result.semantics) == ("WEIGHTED_MEAN", "STRICT")
    assert result.numerics_version == client.server_info().numerics_version
    numpy.testing.assert_array_equal(result.row_losses, [3 * row])
    numpy.testing.assert_array_equal(result.gradient,
                                     [[0.125, -0.5, 0.125, 0]])


def test_outputs(client):
    def outputs(**keywords):
        result = client.compute("mse", PREDICTIONS, TARGETS, **keywords)
        return result.gradient is not None, result.row_losses is not None

    assert outputs() == (True, False)
    assert outputs(outputs=()) == (False, False)
    assert outputs(outputs="row_losses") == (False, True)
    assert outputs(outputs=["gradient", "row_losses"]) == (True, True)
    with pytest.raises(ValueError, match="'hessian'.*row_losses"):
        outputs(outputs="hessian")


def test_none_returns_the_losses_of_the_rows(client):
    loss, gradient = client.mae(PREDICTIONS, TARGETS, reduction="NONE")
    numpy.testing.assert_array_equal(loss, [0.5, 2, 0.5, 0])
    numpy.testing.assert_array_equal(gradient, [1, -1, 1, 0])


def test_masks_weights_and_upstream(client):
    result = client.compute("mae", PREDICTIONS, TARGETS,
                            mask=[True, True, False, True],
                            sample_weights=[1, 2, 3, 4], upstream_gradient=-2.0,
                            normalizer=5)
    assert result.loss == 4.5 / 5
    assert (result.row_count, result.masked_count) == (3, 1)
    numpy.testing.assert_allclose(result.gradient, [-0.4, 0.8, 0, 0],
                                  rtol=1e-15)


def test_options_that_are_numbers_or_arrays(client):
    logits, targets = [[1.0, -1.0]], [[1.0, 1.0]]

    def loss(weight):
        return client.bce(logits, targets, prediction_kind="LOGITS",
                          pos_weight=weight).loss

    assert loss(2) == loss([2.0, 2.0]) == loss(numpy.array([2, 2.0]))
    assert loss(numpy.float32(3)) == loss(numpy.array(3.0)) > loss(2)


def test_class_weights_and_ignore_index(client):
    result = client.compute(
        "sparse_cross_entropy", numpy.zeros((3, 2)), [0, 1, -100],
        prediction_kind="logits", ignore_index=-100, class_weights=[1.0, 3.0],
        reduction="WEIGHTED_MEAN")
    assert result.loss == pytest.approx(numpy.log(2), rel=1e-15)
    assert (result.weight_sum, result.ignored_count) == (4, 1)
    assert result.options["ignore_index"] == -100


def test_unknown_names_list_the_valid_ones(client):
    with pytest.raises(TypeError, match=r"huber\(\) has no keyword 'dleta'.*"
                       "delta, mask, normalizer, reduction"):
        client.huber(PREDICTIONS, TARGETS, dleta=2)
    with pytest.raises(TypeError, match="has no keyword 'dleta'.*delta"):
        client.compute("huber", PREDICTIONS, TARGETS, dleta=2)
    with pytest.raises(TypeError, match="has no keyword 'delta'.*normalizer"):
        lossd.Call(delta=2)
    with pytest.raises(ValueError, match="loss: got 'huper'.*mse.*huber"):
        client.compute("huper", PREDICTIONS, TARGETS)
    with pytest.raises(ValueError, match="reduction: got 'avg'.*MEAN"):
        client.mse(PREDICTIONS, TARGETS, reduction="avg")
    with pytest.raises(ValueError, match="prediction_kind: got 'LOGIT'.*LOGITS"):
        client.bce(PREDICTIONS, TARGETS, prediction_kind="LOGIT")
    with pytest.raises(ValueError, match="prediction_kind: got 'UNSPECIFIED'"):
        client.bce(PREDICTIONS, TARGETS, prediction_kind="UNSPECIFIED")
    with pytest.raises(ValueError, match="semantics: got 'JAX'.*PYTORCH"):
        client.mse(PREDICTIONS, TARGETS, semantics="JAX")


def test_a_batch_with_shared_defaults(client):
    results = client.compute_batch(
        [lossd.Call("huber", delta=delta) for delta in (0.5, 1, -1, 2)] +
        [lossd.Call("mse", targets=PREDICTIONS, outputs=())],
        defaults=lossd.Call(predictions=PREDICTIONS, targets=TARGETS,
                            reduction="SUM"))
    for delta, result in zip((0.5, 1, None, 2), results):
        if delta is None:
            assert isinstance(result, lossd.InvalidArgument)
            continue
        loss, gradient = client.huber(PREDICTIONS, TARGETS, delta=delta,
                                      reduction="SUM")
        assert result.loss == loss
        numpy.testing.assert_array_equal(result.gradient, gradient)
    assert (results[4].loss, results[4].gradient) == (0, None)
    assert client.compute_batch([]) == []


def test_defaults_may_name_the_loss(client):
    results = client.compute_batch(
        [lossd.Call(predictions=PREDICTIONS),
         lossd.Call(predictions=TARGETS, outputs="row_losses")],
        defaults=lossd.Call("mae", targets=TARGETS, outputs="gradient"))
    assert [result.loss for result in results] == [0.75, 0]
    assert results[0].row_losses is None and results[1].gradient is None


def test_asyncio(server):
    async def run():
        async with lossd.AsyncClient(server.target) as client:
            loss, gradient = await client.huber(PREDICTIONS, TARGETS, delta=1)
            assert loss == 0.4375
            numpy.testing.assert_array_equal(gradient, [0.125, -0.25, 0.125, 0])
            many = await asyncio.gather(*(
                client.compute("mae", PREDICTIONS, [shift] * 4)
                for shift in range(20)))
            for shift, result in enumerate(many):
                assert result.loss == pytest.approx(
                    numpy.abs(numpy.array(PREDICTIONS) - shift).mean(),
                    rel=1e-15)
            batch = await client.compute_batch(
                [lossd.Call("mse"), lossd.Call("huber", delta=0)],
                lossd.Call(predictions=PREDICTIONS, targets=TARGETS))
            assert batch[0].loss > 0
            assert isinstance(batch[1], lossd.InvalidArgument)
            with pytest.raises(lossd.InvalidArgument):
                await client.mse(PREDICTIONS, [1.0])
            with pytest.raises(TypeError, match="dleta"):
                await client.huber(PREDICTIONS, TARGETS, dleta=1)
            assert len(await client.list_losses()) >= 9
            assert (await client.server_info()).limits.max_items > 0

    asyncio.run(run())


def test_both_clients_have_the_same_calls():
    def calls(cls):
        return {name: [*inspect.signature(member).parameters.values()]
                for name, member in inspect.getmembers(cls)
                if inspect.isfunction(member) and not name.startswith("_")}

    assert calls(lossd.Client) == calls(lossd.AsyncClient)


def test_pickle(client):
    again = pickle.loads(pickle.dumps(client))
    assert again.mse(PREDICTIONS, TARGETS).loss == client.mse(
        PREDICTIONS, TARGETS).loss
    again.close()


def test_target_of_the_environment(server, monkeypatch):
    monkeypatch.setenv("LOSSD_SERVER", server.target)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with lossd.Client() as client:
        assert client.target == server.target
        assert client.mae(PREDICTIONS, TARGETS).loss == 0.75
    monkeypatch.delenv("LOSSD_SERVER")
    assert lossd.Client().target == "127.0.0.1:50051"
