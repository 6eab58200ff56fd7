"""The metrics page of a real lossd."""

from processes import promtool, samples_of

COMPUTE = '{method="Compute"}'


def test_promtool_finds_nothing_to_say(used_lossd):
    outcome = promtool("check", "metrics", input=used_lossd.page())
    assert (outcome.returncode, outcome.stdout, outcome.stderr) == (0, "", "")


def test_counters_reconcile_with_what_bench_sent(lossd):
    kinds = {"small": ["--elements", "8,64", "--items", "3", "--row_losses"],
             "scheduled": ["--rows", "3000", "--columns", "10"]}
    calls = items = elements = sent = received = 0
    for flags in kinds.values():
        report = lossd.bench("--calls", "50", "--callers", "4",
                             "--connections", "2", "--loss", "mse,huber,scce",
                             *flags)
        assert report["failed"] == 0
        calls += report["calls"]
        items += report["items"]
        elements += report["elements"]
        sent += report["sent_bytes"]
        received += report["received_bytes"]
    assert calls == 100
    samples = samples_of(lossd.page())

    def total(name, label=""):
        return sum(value for sample, value in samples.items()
                   if sample.split("{")[0] == name and label in sample)

    of_compute = 'method="Compute"'
    assert samples["lossd_rpc_started_total" + COMPUTE] == calls
    assert samples[
        'lossd_rpc_completed_total{code="OK",method="Compute"}'] == calls
    assert total("lossd_rpc_completed_total", of_compute) == calls
    for name in ("duration_seconds", "request_bytes", "response_bytes"):
        assert samples[f"lossd_rpc_{name}_count" + COMPUTE] == calls
    assert samples["lossd_rpc_received_bytes_total" + COMPUTE] == sent
    assert samples["lossd_rpc_request_bytes_sum" + COMPUTE] == sent
    assert samples["lossd_rpc_sent_bytes_total" + COMPUTE] == received
    assert samples["lossd_rpc_response_bytes_sum" + COMPUTE] == received
    assert total("lossd_items_total") == items
    assert total("lossd_items_total", 'code="OK"') == items
    assert total("lossd_item_elements_total") == elements
    for stage in ("admission", "decode", "compute", "encode"):
        assert samples["lossd_stage_duration_seconds_count"
                       f'{{stage="{stage}"}}'] == calls, stage
    assert samples[
        'lossd_stage_duration_seconds_count{stage="queue"}'] == calls / 2
    assert total("lossd_admission_rejected_total") == 0
    assert total("lossd_cancelled_total") == 0
    assert total("lossd_nonfinite_outputs_total") == 0
    assert samples["lossd_queue_depth_requests"] == 0
