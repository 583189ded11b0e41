from .music import FACTOR_RANGES as FACTOR_RANGES
from .music import FACTORS as FACTORS
from .music import GENRES as GENRES
from .music import compose as compose
from .music import draw_factors as draw_factors
