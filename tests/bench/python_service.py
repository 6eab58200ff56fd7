#!/usr/bin/python3
"""The service that a team would write in a day: a Python gRPC server around
PyTorch.

    python_service.py ADDRESS

/PythonService/MeanSquaredError takes predictions, then as many targets, both
float32, and answers with the mean loss, a float64, and the gradient. Says where
it listens as lossd does.
"""

import json
import os
import sys
from concurrent import futures

import grpc
import numpy as np
import torch
from torch.nn import functional as F

OPTIONS = [("grpc.max_receive_message_length", -1),
           ("grpc.max_send_message_length", -1)]


def mean_squared_error(request, _):
    # Copied, for PyTorch warns of tensors that it may not write to.
    predictions, targets = np.frombuffer(request, np.float32).reshape(
        2, -1).copy()
    predictions = torch.from_numpy(predictions).requires_grad_()
    loss = F.mse_loss(predictions, torch.from_numpy(targets))
    loss.backward()
    return (np.float64(loss.item()).tobytes()
            + predictions.grad.numpy().tobytes())


def main():
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    server = grpc.server(futures.ThreadPoolExecutor(4), options=OPTIONS)
    method = grpc.unary_unary_rpc_method_handler(mean_squared_error)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(
        "PythonService", {"MeanSquaredError": method}),))
    host, _, _ = sys.argv[1].rpartition(":")
    port = server.add_insecure_port(sys.argv[1])
    server.start()
    print(json.dumps({"event": "serving", "listen": [f"{host}:{port}"]}),
          flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    main()
