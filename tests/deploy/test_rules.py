"""Rules and dashboard, with promtool and a Prometheus that scrapes a lossd."""

import json
import re

import pytest
import yaml

from processes import DASHBOARD, RULES, promtool

RULE_FILES = ["recording_rules.yml", "alert_rules.yml"]

METRIC = re.compile(r"\b(?:lossd|process)_[a-z0-9_]+")
# As Grafana calls them, and what stands for them here.
VARIABLES = {"$__rate_interval": "5m", "$__range": "5m", "$job": "lossd",
             "$instance": ".*"}


def rules():
    for name in RULE_FILES:
        for group in yaml.safe_load((RULES / name).read_text())["groups"]:
            yield from group["rules"]


def panels():
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        yield panel


def queries():
    """Of the dashboard, by panel."""
    for panel in panels():
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"]


def with_values(query):
    for name, value in VARIABLES.items():
        query = query.replace(name, value)
    assert "$" not in query, query
    return query


def alerts():
    return [rule for rule in rules() if "alert" in rule]


@pytest.mark.parametrize("command", [
    ["check", "config", "prometheus.yml"],
    ["check", "rules", "--lint-fatal", *RULE_FILES],
    ["test", "rules", "rules_test.yml"],
], ids=lambda command: " ".join(command[:2]))
def test_promtool(command):
    outcome = promtool(*command, cwd=RULES)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr


def test_every_alert_says_what_is_wrong_and_is_tested():
    tests = yaml.safe_load((RULES / "rules_test.yml").read_text())["tests"]
    tested = {case["alertname"] for test in tests
              for case in test["alert_rule_test"] if case["exp_alerts"]}
    assert alerts()
    for alert in alerts():
        assert alert["labels"]["severity"] in ("page", "ticket"), alert
        assert set(alert["annotations"]) == {"summary", "description"}, alert
        assert alert["alert"] in tested, alert


def test_every_metric_exists(used_lossd, tls_lossd):
    page = used_lossd.page() + tls_lossd.page()
    exist = {re.match(r"\w+", line)[0] for line in page.splitlines()
             if line and line[0] != "#"}
    named = {name for rule in rules() for name in METRIC.findall(rule["expr"])
             if not re.search(r":" + name, rule["expr"])}
    named |= {name for _, query in queries() for name in METRIC.findall(query)
              if not re.search(r":" + name, query)}
    assert len(named) > 30
    assert named <= exist, named - exist


def test_every_recorded_name_exists():
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    texts = [rule["expr"] for rule in rules()]
    texts += [query for _, query in queries()]
    used = {name for text in texts
            for name in re.findall(r"\b(?:job|instance):[\w:]+", text)}
    assert used == recorded


def test_build_info(prometheus):
    [series] = prometheus.await_result("lossd_build_info")
    assert series["value"][1] == "1"
    assert series["metric"]["job"] == "lossd"


def test_recording_rules(prometheus):
    for rule in rules():
        if "record" in rule:
            prometheus.await_result(rule["record"])


def test_rules_evaluate_and_nothing_fires(prometheus):
    # What a lossd that has just started does may be pending.
    prometheus.await_result("instance:lossd_rpc_started:rate5m")
    groups = prometheus.get("rules")["groups"]
    evaluated = [rule for group in groups for rule in group["rules"]]
    assert len(evaluated) == len(list(rules()))
    for rule in evaluated:
        assert rule["health"] == "ok", rule
        assert rule.get("state") != "firing", rule


@pytest.mark.parametrize("title,query", [
    pytest.param(title, query, id=f"{title}-{i}")
    for i, (title, query) in enumerate(queries())])
def test_a_panel_shows_something(prometheus, title, query):
    query = with_values(query)
    if re.search("lossd_(tls|identity)_", query):
        # The one that is scraped has neither certificate nor names.
        prometheus.query(query)
    else:
        prometheus.await_result(query)


def test_the_dashboard_is_one():
    dashboard = json.loads(DASHBOARD.read_text())
    assert {"uid", "title", "schemaVersion", "templating",
            "panels"} <= set(dashboard)
    variables = {one["name"]: one for one in dashboard["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    source = {"type": "prometheus", "uid": "${datasource}"}
    ids = [panel["id"] for panel in panels()]
    assert len(set(ids)) == len(ids)
    taken = set()
    for panel in panels():
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"])
                 for y in range(place["y"], place["y"] + place["h"])}
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24, panel["title"]
        taken |= cells
        if panel["type"] != "row":
            assert panel["datasource"] == source, panel["title"]
            assert panel["targets"] and panel["fieldConfig"]["defaults"][
                "unit"], panel["title"]
