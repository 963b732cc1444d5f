"""TNT in Italy, by ExpressConnect Tracking."""
