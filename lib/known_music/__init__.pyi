from .composer import FACTOR_RANGES as FACTOR_RANGES
from .composer import FACTORS as FACTORS
from .composer import GENRES as GENRES
from .composer import compose as compose
from .composer import draw_factors as draw_factors
