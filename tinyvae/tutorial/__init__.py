"""What the notebooks of the course use beside the package itself: data that are at hand, training in a line, checks.

Each ``check_...`` takes a student's answer, and prints that it is right or raises ``Wrong`` with a diagnosis. Those of
a notebook stand in the file of its name. The room knows training, drawing, checks and the derivation; it must not
know runs or commands.
"""

from tinyvae.tutorial.answers import Wrong, check_number
from tinyvae.tutorial.backprop import (
    BROKEN_BACKWARD,
    check_affine_backward,
    check_best_step,
    check_hard_inputs,
    check_network,
    check_numerical_gradient,
    check_oracle,
    check_relative_errors,
    check_tanh_backward,
)
from tinyvae.tutorial.bits_back import (
    check_mean_bits,
    check_pop,
    check_pop_image,
    check_posterior_tables,
    check_push,
    check_push_image,
    check_push_word,
    check_table,
)
from tinyvae.tutorial.bug_museum import (
    check_blind_spot,
    check_excess,
    check_mended_encoder,
    check_moments_test,
    check_permutation_test,
)
from tinyvae.tutorial.convolutions import (
    check_filter_gradients,
    check_is_transpose,
    check_patches,
    check_places,
    check_put_back,
    check_transposed_backward,
)
from tinyvae.tutorial.deeper_and_conditional import (
    check_bayes,
    check_log_density_backward,
    check_price_without_the_top,
    check_second_layer_backward,
    check_table_gradient,
    check_two_layer_log_weights,
    check_with_labels,
)
from tinyvae.tutorial.importance_weighting import (
    check_active_units,
    check_dreg,
    check_effective_sample_size,
    check_group_bounds,
    check_iwae,
    check_resample,
    check_streaming,
)
from tinyvae.tutorial.latent_variables import (
    check_kl,
    check_log_marginal,
    check_log_mean_exp,
    check_log_weights,
    check_posterior,
    check_price_of_independence,
)
from tinyvae.tutorial.lessons import get_data, load, picture, show, style, trained
from tinyvae.tutorial.likelihoods import (
    check_bits_per_dimension,
    check_colour_means,
    check_dequantised_bound,
    check_level_derivatives,
    check_level_log_probability,
    check_level_mixture,
)
from tinyvae.tutorial.looking_inside import (
    check_aggregate_moments,
    check_best_logvar,
    check_interpolate,
    check_knn_accuracy,
    check_quantile_grid,
    check_surgery,
)
from tinyvae.tutorial.reparameterisation import (
    check_expected_cosine,
    check_layer_backward,
    check_leave_one_out,
    check_log_q_derivatives,
    check_log_weight_gradient,
    check_path_gradient,
    check_score_gradient,
    check_variances,
)
from tinyvae.tutorial.sequences import (
    check_aided_price,
    check_allowed_next,
    check_gru_step,
    check_gru_step_backward,
    check_masked_log_probability,
    check_same_function,
    check_through_time,
)
from tinyvae.tutorial.speed import check_cost_of_product, check_fused_layer
from tinyvae.tutorial.vae import (
    check_bernoulli,
    check_generate,
    check_kl_and_gradient,
    check_vae_backward,
    check_vae_forward,
    check_water_level,
)
