"""The words that servers use of every record, and that therefore say nothing about a person.

They are in small letters. The names of the fields that we send are among them.
"""

__all__ = ["AMBIGUOUS", "PLAIN"]

# Hardly anybody's name; even where they are one, nobody is recognized by them.
_plain = """
    a abort aborted accept accepted access account accounts action active actual address admin
    agent agents all allowed already also although and another api app application are array as
    at attempt attribute authentication authorization authorized bad be because been before
    begin being between birth birthdate body boolean but by bytes cannot changed character
    characters check class client code codes conflict connection constraint contain contains
    content could country create created credentials current data database date dates debug
    delete deleted demographics denied description details detected did different digit digits
    disabled district does domain due duplicate during each either email empty enabled
    enableduser enddate endpoint entity entry enum error errors exceed exceeded exception exist
    existing exists expected expired external failed failure false familyname fields file filter
    follow following for forbidden form format found from fullsuccess function gateway given
    givenname grade grades granted greater guardian has have header headers http https id
    identifier ids if ignored inactive incorrect input integer internal into invalid invaliddata
    is it item items its json keys least length less letter letters like limit linked list
    longer lookup malformed many matched matching maximum message metadata method middlename minimum
    missing must name names needs nested network not null number numbers object objects of off
    one only operation operations option optional org organisation organization orgs other out
    over parameter parameters parent parse parsing password path permission permitted phone
    please possible preferredfirstname preferredlastname preferredmiddlename present primary
    primaryorg processed processing property provided put query rate reached record records
    reference referenced references refused rejected relation relationship relationshiptype
    request requested requests required resource response retry role roles roster rostering row same
    schema school scope scopes seconds section see server service session should size sourcedid
    sourcedids stale state status string strings student students support supported syntax table
    teacher teachers temporarily tenant that the their then there these they this timeout
    timestamp token tokens too type types unable unauthorisedrequest unauthorized unavailable
    undefined unexpected unique unknown unknownobject unprocessable unsupported update updated
    upstream url use used user userid usermasteridentifier username users uuid valid validate
    validation value values version violates was were when where which with within without xml
    your
"""
PLAIN = frozenset(_plain.split())
# Names as well: as a word of the server they are in small letters.
_ambiguous = """
    an any base best block case chance close cross day do else end field first go he her him his
    in key last link lock long major mark max may me min minor miss more my new no on open or
    order page pass per pool port power price prior quick read rest she short so still sum term
    text than them time to true try up us void we will word worth write you young
"""
AMBIGUOUS = frozenset(_ambiguous.split())
