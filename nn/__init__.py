"""Parts of neural networks, under PyTorch's names."""

from . import functional, init, utils
from .attention import MultiheadAttention
from .containers import ModuleDict, ModuleList, ParameterDict, ParameterList, Sequential
from .dropout import Dropout
from .linear import Bilinear, Identity, LazyLinear, Linear
from .module import Module
from .normalization import LayerNorm
from .parameter import Buffer, Parameter, UninitializedBuffer, UninitializedParameter
from .recurrent import GRU, LSTM, RNN, GRUCell, LSTMCell, RNNBase, RNNCell, RNNCellBase
from .recurrent_variants import (
    JordanRNN,
    LearnableInitialState,
    PeepholeLSTM,
    PeepholeLSTMCell,
    Recurrent,
    RecurrentDropout,
    VariationalDropout,
)
from .transformer import (
    Transformer,
    TransformerDecoder,
    TransformerDecoderLayer,
    TransformerEncoder,
    TransformerEncoderLayer,
)

__all__ = [
    "JordanRNN",
    "LearnableInitialState",
    "PeepholeLSTM",
    "PeepholeLSTMCell",
    "Recurrent",
    "RecurrentDropout",
    "VariationalDropout",
    "GRU",
    "LSTM",
    "RNN",
    "Bilinear",
    "Buffer",
    "Dropout",
    "GRUCell",
    "Identity",
    "LayerNorm",
    "LazyLinear",
    "LSTMCell",
    "Linear",
    "Module",
    "ModuleDict",
    "ModuleList",
    "Parameter",
    "ParameterDict",
    "MultiheadAttention",
    "ParameterList",
    "RNNBase",
    "RNNCell",
    "RNNCellBase",
    "Sequential",
    "Transformer",
    "TransformerDecoder",
    "TransformerDecoderLayer",
    "TransformerEncoder",
    "TransformerEncoderLayer",
    "UninitializedBuffer",
    "UninitializedParameter",
    "functional",
    "init",
    "utils",
]
