"""Callers of all kinds, for long."""

import collections
import statistics
import threading
import time

import grpc

from calls import (
    COMPUTE, STREAM, Caller, announce, item_of, question, request_of)
from http2_frames import RawConnection
from lossd.v1 import loss_service_pb2
from lossd_process import await_true, is_idle
from proxy import reset

CASE = "soak"
MIB = 1 << 20
# Between two calls of a caller, so that callers do not wait for each other.
PAUSE = 0.01


class Mix:
    """Callers that do one thing each, and what they did not expect."""

    def __init__(self, server):
        self._server = server
        self.counts = collections.Counter()
        self.unexpected = collections.Counter()
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        bad = item_of("huber", 64)
        bad.targets.shape[0] = 7
        items = [bad if number % 10 == 0 else item_of("huber", 64, number)
                 for number in range(100)]
        self._small, self._large, self._batch, self._other = (
            question(server, request) for request in (
                request_of(item_of("huber", 1024)),
                request_of(item_of("mean_squared_error", 1 << 20)),
                request_of(*items), request_of(item_of("smooth_l1", 4096))))
        self._parts = parts_of(item_of("log_cosh", 1 << 17))
        with Caller(server.address) as caller:
            self._streamed = self._stream(caller)
        self._threads = [
            threading.Thread(target=self._repeat, args=(kind,), daemon=True)
            for kind in (self._ask_small, self._ask_large, self._ask_batch,
                         self._ask_stream, self._ask_badly, self._cancel,
                         self._churn)]
        for thread in self._threads:
            thread.start()

    def _repeat(self, kind):
        with Caller(self._server.address) as caller:
            while not self._stopping.wait(PAUSE):
                seen = kind(caller)
                with self._lock:
                    self.counts[kind.__name__.strip("_")] += 1
                    if seen is not None:
                        self.unexpected[f"{kind.__name__}: {seen}"] += 1

    def _answer(self, caller, asked):
        try:
            if caller.ask(asked.request, 60) != asked.answer:
                return "wrong bits"
        except grpc.RpcError as error:
            return f"{error.code().name}: {error.details()}"
        return None

    def _ask_small(self, caller):
        return self._answer(caller, self._small)

    def _ask_large(self, caller):
        return self._answer(caller, self._large)

    def _ask_batch(self, caller):
        return self._answer(caller, self._batch)

    def _stream(self, caller):
        """The gradient's bytes and the result's of a ComputeStream call."""
        call = caller.channel.stream_stream(
            STREAM, response_deserializer=(
                loss_service_pb2.ComputeStreamResponse.FromString))
        parts = list(call(iter(self._parts), timeout=60))
        return (b"".join(part.chunk.data for part in parts[:-1]),
                parts[-1].SerializeToString(deterministic=True))

    def _ask_stream(self, caller):
        try:
            return (None if self._stream(caller) == self._streamed
                    else "wrong bits")
        except grpc.RpcError as error:
            return error.code().name

    def _ask_badly(self, caller):
        """Requests that are refused, each with the code that says why."""
        pinned = request_of(numerics_version="none")
        for method, request, right in (
                (COMPUTE, b"\xff" * 100, "INVALID_ARGUMENT"),
                (COMPUTE, pinned, "FAILED_PRECONDITION"),
                (COMPUTE, request_of(*[{}] * 20000), "RESOURCE_EXHAUSTED"),
                (STREAM, b"", "INVALID_ARGUMENT"),
                ("/lossd.v1.LossService/None", b"", "UNIMPLEMENTED")):
            try:
                caller.channel.unary_unary(method)(
                    request, timeout=60, metadata=announce(request))
                code = "OK"
            except grpc.RpcError as error:
                code = error.code().name
            if code != right:
                return f"{code} instead of {right} of {method}"
        return None

    def _cancel(self, caller):
        call = caller.compute.future(self._large.request, timeout=60)
        time.sleep(PAUSE / 2)
        call.cancel()
        code = call.code().name
        return None if code in ("OK", "CANCELLED") else code

    def _churn(self, _):
        """A connection for a call, and two that end without a word."""
        with Caller(self._server.address) as caller:
            seen = self._answer(caller, self._other)
        RawConnection(self._server.address).socket.close()
        reset(RawConnection(self._server.address).socket)
        return seen

    def stop(self):
        """Whether all callers have come back."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(90)
        return not any(thread.is_alive() for thread in self._threads)


def parts_of(item, pieces=16):
    """The messages of a ComputeStream call, serialised."""
    header = loss_service_pb2.LossItem()
    header.CopyFrom(item)
    message = loss_service_pb2.ComputeStreamRequest
    for name in ("predictions", "targets"):
        getattr(header, name).ClearField("data")
    parts = [message(header=loss_service_pb2.StreamHeader(item=header))]
    size = len(item.predictions.data) // pieces
    for first in range(0, size * pieces, size):
        for name in ("predictions", "targets"):
            parts.append(message(chunk=loss_service_pb2.StreamChunk(
                tensor=name, first_element=first // 4,
                data=getattr(item, name).data[first:first + size])))
    return [part.SerializeToString() for part in parts]


def slope(times, values):
    """Of the least squares' line."""
    time_mean, mean = statistics.fmean(times), statistics.fmean(values)
    square = sum((t - time_mean) ** 2 for t in times)
    return sum((t - time_mean) * (v - mean)
               for t, v in zip(times, values)) / square


def observe(server, seconds, every):
    """Samples of time, memory, descriptors and threads."""
    samples, start = [], time.monotonic()
    while (now := time.monotonic() - start) < seconds:
        samples.append((now, server.resident_mib(), server.descriptors(),
                        server.threads()))
        time.sleep(every)
    return samples


def run(context):
    """The figures of memory have targets when there was time to warm up."""
    report = context.report
    with context.start("--memory_budget", 512 * MIB, "--max_message_bytes",
                       64 * MIB) as server:
        with Caller(server.address) as caller:
            caller.health()
        before = server.descriptors()
        mix = Mix(server)
        samples = observe(server, context.pick(1200, 60), context.pick(5, 1))
        back = mix.stop()
        halves = (samples[:len(samples) // 2], samples[len(samples) // 2:])
        memory = [statistics.median(sample[1] for sample in half)
                  for half in halves]
        report.figure(CASE, "memory, second half and first",
                      memory[1] - memory[0], "MiB", most=context.pick(2, None),
                      first=round(memory[0], 1), second=round(memory[1], 1),
                      samples=[round(sample[1], 1) for sample in
                               samples[::len(samples) // 20]])
        times, resident, *_ = zip(*halves[1])
        report.figure(CASE, "slope of memory in the second half",
                      slope(times, resident) * 600, "MiB/10 min",
                      most=context.pick(1, None))
        for name, index in (("descriptors", 2), ("threads", 3)):
            most = [max(sample[index] for sample in half) for half in halves]
            report.figure(CASE, f"most {name}, second half and first",
                          most[1] - most[0], "", most=2, first=most[0],
                          second=most[1])
        report.check(CASE, "all callers come back", back)
        report.check(CASE, "every kind of call was made",
                     len(mix.counts) == 7, counts=dict(mix.counts))
        report.check(CASE, "codes and bits are expected", not mix.unexpected,
                     unexpected=dict(mix.unexpected.most_common(5)))
        report.check(CASE, "nothing is left behind",
                     await_true(lambda: is_idle(server.metrics()))[0])
        report.check(CASE, "descriptors are given back", await_true(
            lambda: server.descriptors() <= before + 4)[0],
            before=before, after=server.descriptors())
        threads = max(sample[3] for sample in halves[0])
        report.check(CASE, "no threads are added", await_true(
            lambda: server.threads() <= threads + 2)[0],
            first_half=threads, after=server.threads())
        report.check(CASE, "ends with 0", server.stop() == 0)
