"""That the table has every loss of lossd, and every option of each."""

from table import ROWS

# KERAS alone reads them.
KERAS_ONLY = {("mean_squared_logarithmic_error", "epsilon"),
              ("binary_cross_entropy", "epsilon"),
              ("categorical_cross_entropy", "epsilon"),
              ("sparse_categorical_cross_entropy", "epsilon"),
              ("kullback_leibler_divergence", "epsilon")}


def test_every_loss_has_a_row(lossd):
    assert {info.name for info in lossd.losses} == {row.loss for row in ROWS}


def test_every_option_is_set_somewhere(lossd):
    used = set(KERAS_ONLY)
    for row in ROWS:
        for options in [row.strict_options] + [s.options for s in row.settings]:
            used |= {(row.loss, option) for option in options}
    listed = {(info.name, option.name)
              for info in lossd.losses for option in info.options}
    assert listed - used == set()


def test_every_input_is_sent_somewhere(lossd):
    used = {(row.loss, name) for row in ROWS for name in row.inputs}
    listed = {(info.name, each.name)
              for info in lossd.losses for each in info.inputs}
    assert listed - used == set()
