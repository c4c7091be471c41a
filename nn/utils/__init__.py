"""What is done to modules from outside, under the names of `torch.nn.utils`."""

from . import convert as convert_parameters
from . import parametrizations, parametrize, prune, rnn, stateless
from .clip_grad import clip_grad_norm, clip_grad_norm_, clip_grad_value_, clip_grads_with_norm_, get_total_norm
from .convert import parameters_to_vector, vector_to_parameters
from .fusion import fuse_conv_bn_eval, fuse_conv_bn_weights, fuse_linear_bn_eval, fuse_linear_bn_weights
from .init import skip_init
from .max_norm import MaxNorm, max_norm_
from .spectral_norm import remove_spectral_norm, spectral_norm
from .stateless import functional_call
from .weight_norm import remove_weight_norm, weight_norm
