"""The joint study: from members' Releases and case reports to forecasts, scenarios, alerts and one report."""
