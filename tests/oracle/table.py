"""All rows, and the losses that lossd does not serve yet."""

import rows_binary
import rows_distribution
import rows_multiclass
import rows_policy
import rows_regression
import rows_similarity

ROWS = (rows_regression.ROWS + rows_binary.ROWS + rows_multiclass.ROWS +
        rows_distribution.ROWS + rows_similarity.ROWS + rows_policy.ROWS)

# Their rows are skipped; without them here, they fail until they are served.
NOT_YET = {
    "smooth_l1", "log_cosh", "mean_absolute_percentage_error", "quantile",
    "poisson", "gaussian_nll", "gaussian_kl", "squared_hinge",
    "categorical_hinge", "multi_margin", "multiclass_hinge", "soft_margin",
    "focal", "categorical_focal", "nll", "cosine", "cosine_embedding", "dice",
    "tversky", "triplet", "margin_ranking", "hinge_embedding",
    "distillation_divergence", "jensen_shannon_divergence",
    "token_cross_entropy", "importance_sampling", "ppo", "cispo", "dro",
    "k3_divergence", "dpo",
}
