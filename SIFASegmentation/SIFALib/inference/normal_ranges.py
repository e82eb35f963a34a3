"""What is normal in adults: mean and standard deviation, of women and of men, with the source of each.

Left ventricle: Kawel-Boehm et al., "Normal values for cardiovascular magnetic resonance in adults and children", J
Cardiovasc Magn Reson 17:29 (2015), bSSFP cines. Right ventricle: Hudsmith et al., J Cardiovasc Magn Reson 7:775 (2005),
bSSFP cines of 63 men and 45 women. A range is the mean and two standard deviations to either side.
"""

from __future__ import annotations

from dataclasses import dataclass

KAWEL_BOEHM = "Kawel-Boehm et al., J Cardiovasc Magn Reson 17:29 (2015)"
HUDSMITH = "Hudsmith et al., J Cardiovasc Magn Reson 7:775 (2005)"
DEVIATIONS = 2.0


@dataclass(frozen=True)
class Normal:
    """women, men: mean and standard deviation, in the quantity's unit."""

    women: tuple[float, float]
    men: tuple[float, float]
    source: str

    def range_of(self, sex: str) -> tuple[float, float]:
        """Least and largest normal value of "F" or "M"; of "" the least and largest of both."""
        groups = {"F": [self.women], "M": [self.men]}.get(sex, [self.women, self.men])
        low = min(mean - DEVIATIONS * deviation for mean, deviation in groups)
        return max(low, 0.0), max(mean + DEVIATIONS * deviation for mean, deviation in groups)


NORMAL: dict[tuple[str, str], Normal] = {
    ("LV", "edv_ml"): Normal((132, 23), (160, 27), KAWEL_BOEHM),
    ("LV", "edv_ml_m2"): Normal((76, 10), (81, 12), KAWEL_BOEHM),
    ("LV", "esv_ml"): Normal((44, 11), (54, 14), KAWEL_BOEHM),
    ("LV", "esv_ml_m2"): Normal((24, 5), (26, 6), KAWEL_BOEHM),
    ("LV", "sv_ml"): Normal((87, 15), (108, 18), KAWEL_BOEHM),
    ("LV", "sv_ml_m2"): Normal((52, 7), (54, 6), KAWEL_BOEHM),
    ("LV", "ef_percent"): Normal((67, 5), (67, 5), KAWEL_BOEHM),
    ("LV", "mass_g"): Normal((98, 21), (134, 21), KAWEL_BOEHM),
    ("LV", "mass_g_m2"): Normal((61, 10), (67, 9), KAWEL_BOEHM),
    ("RV", "edv_ml"): Normal((148, 35), (190, 33), HUDSMITH),
    ("RV", "esv_ml"): Normal((56, 18), (78, 20), HUDSMITH),
}
"""By ventricle and quantity; those per m2 are of the body surface."""
