"""All rows, and the losses that lossd does not serve yet."""

import rows_binary
import rows_distribution
import rows_multiclass
import rows_policy
import rows_regression
import rows_similarity

ROWS = (rows_regression.ROWS + rows_binary.ROWS + rows_multiclass.ROWS +
        rows_distribution.ROWS + rows_similarity.ROWS + rows_policy.ROWS)
